"""Judges a trained run: python -m experiments.evaluate --run=WORKDIR [--lengths=100,200,400]"""

import dataclasses
import statistics
from pathlib import Path
from typing import Any

import jax
import rich.table
from absl import flags

from experiments import commandline
from experiments.settings import resolve
from experiments.workdir import Run, load, read_config
from gru_jax import FieldError, training
from gru_jax.devices import make_mesh, use_cpu_cores


def evaluate(run: Run, length: int | None = None) -> dict[str, list[float]]:
    """A run's metrics per seed on the evaluation set, at the task's length or at another.

    Raises:
      FieldError: the task does not exist at that length, or its readout is bound to one.
    """
    experiment = run.settings.experiment
    task = experiment.task
    if length is not None and length != task.length:
        if task.readout == "flatten":
            raise FieldError("length", length, f"{task.length}: this readout is bound to it")
        experiment = dataclasses.replace(experiment, task=task.with_length(length))
    mesh = make_mesh(len(run.settings.seeds), experiment.batch_size)
    metrics = training.evaluate(experiment, mesh, run.state)
    return jax.tree.map(lambda values: values.tolist(), metrics)


def table(run: Run, lengths: list[int]) -> rich.table.Table:
    """One row a length: each metric's median, and its range over the seeds."""
    shown = rich.table.Table(caption="median (lowest..highest) over the seeds")
    shown.add_column("length", justify="right")
    names = run.task.metric_names
    for name in (*names, "baseline loss"):
        shown.add_column(name, justify="right")
    for length in lengths:
        metrics: dict[str, Any] = evaluate(run, length)
        cells = [_spread(metrics[name]) for name in names]
        baseline = run.task.with_length(length).baseline_loss
        shown.add_row(str(length), *cells, f"{baseline:.4g}")
    return shown


def _spread(values: list[float]) -> str:
    return f"{statistics.median(values):.4g} ({min(values):.3g}..{max(values):.3g})"


def define_flags() -> None:
    flags.DEFINE_string("run", None, "the run's folder", required=True)
    flags.DEFINE_list("lengths", None, "task lengths, like 100,200 (the run's own)")


def main() -> int:
    workdir = Path(flags.FLAGS.run)
    settings = resolve(read_config(workdir))
    use_cpu_cores(len(settings.seeds), settings.experiment.batch_size)
    run = load(workdir)
    lengths = [_length(text) for text in flags.FLAGS.lengths or [str(run.task.length)]]
    commandline.console().print(table(run, lengths))
    return 0


def _length(text: str) -> int:
    if not text.isdecimal():
        raise FieldError("--lengths", text, "whole numbers with commas between them")
    return int(text)


if __name__ == "__main__":
    commandline.run(main, define_flags)
