"""Estimates how long a run takes, from its amount of work and the speed of this machine."""

import dataclasses
import time

import jax

from experiments.runs.state import start
from experiments.settings.resolution import Settings
from experiments.settings.trials import Trial
from experiments.sweeps.folder import FAILED, FINISHED, State
from gru_jax import training
from gru_jax.devices import make_mesh, to_devices, use_cpu_cores

CHUNK = 2  # steps that are timed
OVERHEAD = 2_000  # cost of a time step besides its products, roughly, in parameters


def work(settings: Settings) -> float:
    """Passes of one example through one time step, weighted by the model's parameters."""
    experiment = settings.experiment
    # An evaluation is only a forward pass, a third of a training step.
    evaluated = experiment.evaluation_examples / (3 * experiment.chunk)
    examples = settings.steps * (experiment.batch_size + evaluated) * len(settings.seeds)
    return examples * experiment.task.steps * (experiment.parameters + OVERHEAD)


class Progress:
    """The share of the work of all trials that is done, and how long the rest takes at most.

    Args:
      settings: of each trial, by its name.
      states: at the beginning, from where on the speed is measured.
    """

    def __init__(self, settings: dict[str, Settings], states: dict[str, State]):
        self._work = {name: work(each) for name, each in settings.items()}
        self._steps = {name: each.steps for name, each in settings.items()}
        self._began, self._start = time.monotonic(), self.share(states)

    def share(self, states: dict[str, State]) -> float:
        """A trial that has ended counts fully, whatever its step."""
        over = (*FINISHED, FAILED)
        part = lambda name, state: 1 if state.status in over else state.step / self._steps[name]
        done = sum(self._work[name] * part(name, state) for name, state in states.items())
        return done / sum(self._work.values())

    def left(self, states: dict[str, State]) -> float | None:
        """In seconds, since later trials may end before their budget; None if nothing was done."""
        share, elapsed = self.share(states), time.monotonic() - self._began
        return elapsed * (1 - share) / (share - self._start) if share > self._start else None


def rate(trials: list[Trial]) -> float:
    """Work per second on all cores, measured on a few steps of the smallest trial."""
    settings = min((trial.settings for trial in trials), key=lambda s: work(s) / s.steps)
    use_cpu_cores(*settings.mesh_sizes)
    mesh = make_mesh(*settings.mesh_sizes)
    experiment = dataclasses.replace(settings.experiment, chunk=CHUNK)
    state = to_devices(start(settings), training.per_seed(mesh))
    data = training.placed_data(experiment, mesh, settings.seeds)
    state, _ = training.train_chunk(experiment, mesh, state, data)  # compiles
    jax.block_until_ready(state)
    began, steps = time.perf_counter(), 0
    while steps < 3 * CHUNK or time.perf_counter() - began < 1:
        state, _ = training.train_chunk(experiment, mesh, state, data)
        jax.block_until_ready(state)
        steps += CHUNK
    seconds = (time.perf_counter() - began) / steps
    return work(dataclasses.replace(settings, steps=1)) / seconds
