"""Judges a trained run: python -m experiments.evaluate --run=WORKDIR [--lengths=100,200,400]"""

import dataclasses
import math
from pathlib import Path

import jax
import rich.table
from absl import flags

from experiments import commandline
from experiments.curves import draw_lengths
from experiments.files import write_json
from experiments.outcomes import quartiles
from experiments.settings import resolve
from experiments.workdir import Run, load, read_config
from gru_jax import FieldError, Task, training
from gru_jax.devices import make_mesh, use_cpu_cores

Metrics = dict[str, list[float]]


def evaluate(run: Run, length: int | None = None) -> Metrics:
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
    metrics = training.evaluate(experiment, make_mesh(*run.settings.mesh_sizes), run.state)
    return jax.tree.map(lambda values: values.tolist(), metrics)


def table(task: Task, found: dict[int, Metrics]) -> rich.table.Table:
    """One row a length: each metric's median, and its range over the seeds."""
    shown = rich.table.Table(caption="median (lowest..highest) over the seeds")
    shown.add_column("length", justify="right")
    for name in (*task.metric_names, "baseline loss"):
        shown.add_column(name, justify="right")
    for length, metrics in found.items():
        cells = [_spread(metrics[name]) for name in task.metric_names]
        baseline = task.with_length(length).baseline_loss
        shown.add_row(str(length), *cells, f"{baseline:.4g}")
    return shown


def _spread(values: list[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "not finite"
    lost = f", {len(values) - len(finite)} not finite" if len(finite) < len(values) else ""
    return f"{quartiles(finite)[1]:.4g} ({min(finite):.3g}..{max(finite):.3g}{lost})"


def define_flags() -> None:
    flags.DEFINE_string("run", None, "the run's folder", required=True)
    flags.DEFINE_list("lengths", None, "task lengths, like 100,200 (the run's own)")


def main() -> int:
    workdir = Path(flags.FLAGS.run)
    settings = resolve(read_config(workdir))
    task = settings.experiment.task
    lengths = [_length(task, text) for text in flags.FLAGS.lengths or []]
    use_cpu_cores(*settings.mesh_sizes)
    run = load(workdir)
    found = {length: evaluate(run, length) for length in lengths or [task.length]}
    commandline.console().print(table(task, found))
    if len(found) > 1:
        draw_lengths(workdir, settings, dict(sorted(found.items())))
        write_json(workdir / "lengths.json", found)
        print(f"over length: {workdir / 'lengths.png'}, lengths.json")
    return 0


def _length(task: Task, text: str) -> int:
    if not text.isdecimal() or len(text) > 10:
        raise FieldError("--lengths", text, "whole numbers with commas between them")
    return task.with_length(int(text)).length


if __name__ == "__main__":
    commandline.run(main, define_flags)
