"""What the programs import, for a process of which each test of a program starts in a copy."""

import experiments.evaluate
import experiments.figures.curves
import experiments.gates
import experiments.gradients
import experiments.report
import experiments.sweep
import experiments.sweeps.worker
import experiments.train
import experiments.training.recorder
import experiments.watch  # noqa: F401
