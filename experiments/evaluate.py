"""Evaluates the models of a run. Its flags and its page of --help are `usage.EVALUATE`."""

import dataclasses
import math
import sys
from pathlib import Path

import jax
import rich.table
from absl import flags

from experiments import usage
from experiments.runs import Run
from experiments.runs.loading import restored
from experiments.runs.records import read_config
from experiments.settings.resolution import resolve
from experiments.stats.outcomes import quartiles
from experiments.system import commandline, terminal
from experiments.system.files import finite, write_bytes, write_json
from experiments.training.memory import check_evaluation
from gru_jax import FieldError, Task, fields, training
from gru_jax.devices import make_mesh, use_cpu_cores
from gru_jax.tasks.dataset import TEST, VALIDATION, Dataset

Metrics = dict[str, list[float]]


def evaluate(
    run: Run, length: int | None = None, split: str = VALIDATION, examples: int | None = None
) -> Metrics:
    """A run's metrics per seed, at the task's length or at another one.

    Args:
      split: "validation", as during training, or "test", which training has never seen.
      examples: how many, a multiple of the run's config.train.evaluation_examples; as many by
        default. Those of fewer examples are the first.

    Raises:
      RunError: it needs more memory than there is.
      FieldError: the task does not exist at that length, or the readout needs the original one; or
        `examples` is no such multiple, or the task's examples are a data set.
    """
    experiment = run.settings.experiment
    task = experiment.task
    if length not in (None, task.length) and task.readout == "flatten":
        raise FieldError("length", length, f"{task.length}: this readout needs the training length")
    if length is not None:
        task = task.with_length(length)  # also of the training length, which may be the longest
    experiment = dataclasses.replace(experiment, task=task).judged_on(split)
    mesh = make_mesh(*run.settings.mesh_sizes)
    data = training.placed_data(experiment, mesh, run.settings.seeds)
    state = dataclasses.replace(run.state, params=run.state.final)
    sets = _sets(run.settings.experiment, "examples", examples)
    check_evaluation(experiment, mesh, len(run.settings.seeds), _smaller(task, length))
    metrics = training.evaluate(experiment, mesh, state, data, sets=sets)
    return jax.tree.map(lambda values: values.tolist(), metrics)


def _smaller(task: Task, length: int | None) -> str:
    """How an evaluation of this task, which is too large, is made smaller."""
    if length is not None:
        return f"reduce --lengths={length}"
    if isinstance(task, Dataset) or task.readout == "flatten":
        return "this run's needs a device with more"
    return f"evaluate at less than {task.length} with --lengths"


def _sets(experiment: training.Experiment, field: str, examples: int | None) -> int:
    """So many sets of examples as the run's evaluations had."""
    if examples is None:
        return 1
    if isinstance(experiment.task, Dataset):
        raise FieldError(field, examples, "left out: an evaluation takes the whole split")
    size = experiment.evaluation_examples
    if fields.integer(field, examples, 1) % size:
        allowed = f"a multiple of {size}, the run's config.train.evaluation_examples"
        raise FieldError(field, examples, allowed)
    return examples // size


def table(
    kind: str, tasks: dict[str, Task], found: dict[str, Metrics], examples: int | None = None
) -> rich.table.Table:
    """One row per length or split: each metric's median and range over the seeds."""
    shown = rich.table.Table(
        caption="median (lowest..highest) over the seeds; "
        + (f"{fields.counted(examples, 'example')}; " if examples else "")
        + "test: examples that neither training nor its evaluations saw"
    )
    names = next(iter(tasks.values())).metric_names
    for name in (kind, *names, "input-blind loss"):
        shown.add_column(name, justify="right")
    for row, metrics in found.items():
        cells = [_spread(metrics[name]) for name in names]
        shown.add_row(row, *cells, f"{tasks[row].baseline_loss:.4g}")
    return shown


def _spread(values: list[float]) -> str:
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return "not finite"
    lost = f", {len(values) - len(finite)} not finite" if len(finite) < len(values) else ""
    return f"{quartiles(finite)[1]:.4g} ({min(finite):.3g}..{max(finite):.3g}{lost})"


def main() -> int:
    workdir = Path(flags.FLAGS.run)
    settings = resolve(read_config(workdir, flags.FLAGS.data))
    task = settings.experiment.task
    lengths = [_length(task, text) for text in flags.FLAGS.lengths or []]
    if twice := [length for length in lengths if lengths.count(length) > 1]:
        raise FieldError("--lengths", twice[0], "given once")
    examples = flags.FLAGS.examples
    _sets(settings.experiment, "--examples", examples)
    use_cpu_cores(*settings.mesh_sizes)
    run = restored(workdir, settings)
    _note_end(run)
    if not lengths:
        splits: dict[str, Task] = {name: task.judged_on(name) for name in (VALIDATION, TEST)}
        shown = {name: evaluate(run, None, name, examples) for name in splits}
        terminal.console().print(table("split", splits, shown, examples))
        return 0
    found = {length: evaluate(run, length, TEST, examples) for length in lengths}
    tasks: dict[str, Task] = {
        str(length): task.with_length(length).judged_on(TEST) for length in found
    }
    named = {str(length): metrics for length, metrics in found.items()}
    terminal.console().print(table("length (test)", tasks, named, examples))
    if len(found) > 1:
        # Imported only now, because matplotlib reads a file in the current folder.
        from experiments.figures import curves

        drawn = curves.over_length(settings, dict(sorted(found.items())))
        write_bytes(workdir / "lengths.png", drawn)
        write_json(workdir / "lengths.json", finite(named))
        print(f"over length: {workdir / 'lengths.png'}, lengths.json")
    return 0


def _note_end(run: Run) -> None:
    """Says of a run that has not ended, or was stopped, how far its models have come."""
    if run.summary is None or run.summary["status"] == "stopped":
        step = int(run.state.step.max())
        print(
            f"note: {run.workdir} has not ended: these are its models after {step:,} of "
            f"{run.settings.steps:,} steps",
            file=sys.stderr,
        )


def _length(task: Task, text: str) -> int:
    if not text.isdecimal() or len(text) > 10:
        allowed = f"whole numbers up to {fields.LARGEST}, separated by commas"
        raise FieldError("--lengths", text, allowed)
    return task.with_length(int(text)).length


if __name__ == "__main__":
    commandline.run(main, usage.EVALUATE)
