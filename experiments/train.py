"""Trains a population of models: python -m experiments.train --config=configs/adding.py

The same command again resumes the run, or says that it is finished.
"""

import math
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import commandline
from experiments.curves import draw_curves
from experiments.settings import Settings, default_workdir, resolve
from experiments.workdir import (
    Checkpoints,
    Run,
    abstract_state,
    open_workdir,
    read_summary,
    write_json,
)
from experiments.writers import Display, MetricsFile, final_table, rows
from gru_jax import training
from gru_jax.devices import make_mesh, use_cpu_cores


def train(
    config: ConfigDict | dict[str, Any], workdir: str | None = None, quiet: bool = False
) -> Run:
    """Trains the population that a config describes, or resumes it, and returns the run.

    It runs on JAX's devices as they are: in a notebook on a CPU, call
    `gru_jax.devices.use_cpu_cores(seeds, batch_size)` first to use every core.

    Args:
      config: what a file in `configs` returns, overridden as you like.
      workdir: where the run is kept; runs/CONFIG-HASH by default.
      quiet: print nothing.

    Raises:
      FieldError: a field of the config holds what is not allowed.
      RunError: the folder holds another run, or no usable checkpoint.
    """
    settings = resolve(config)
    return train_settings(settings, Path(workdir or default_workdir(settings)), quiet)


def train_settings(settings: Settings, workdir: Path, quiet: bool = False) -> Run:
    """`train` for a config that is resolved already."""
    experiment = settings.experiment
    mesh = make_mesh(*settings.mesh_sizes)
    open_workdir(workdir, settings)
    with ExitStack() as stack:
        checkpoints = stack.enter_context(closing(Checkpoints(workdir)))
        restored = checkpoints.restore(abstract_state(settings, mesh))
        if restored:
            state, progress = restored
        else:
            state = training.init(
                experiment, mesh, settings.seeds, settings.learning_rates, settings.clip_norms
            )
            progress = {"step": 0, "wall_seconds": 0.0}
        step, saved = progress["step"], progress["step"]
        began = time.monotonic() - progress["wall_seconds"]
        metrics_file = stack.enter_context(closing(MetricsFile(workdir, step)))
        display = stack.enter_context(Display(settings.steps, step, quiet))
        stop_requested = stack.enter_context(_stop_requests())
        (workdir / "summary.json").unlink(missing_ok=True)  # an earlier stop's

        while not (finished := step == settings.steps or not np.any(state.active)):
            if stop_requested():
                break
            active = np.asarray(state.active)
            state, trained = training.train_chunk(experiment, mesh, state)
            evaluated = training.evaluate(experiment, mesh, state)
            state = training.freeze_solved(experiment, state, evaluated)
            step += experiment.chunk
            for split, metrics in (("train", trained), ("eval", evaluated)):
                metrics_file.write(_rows(step, split, settings, active, metrics))
            display.update(
                step,
                np.asarray(evaluated["loss"]).tolist(),
                solved=int(np.sum(np.asarray(state.solved_step) >= 0)),
                diverged=int(np.sum(np.asarray(state.diverged_step) >= 0)),
            )
            if step % settings.checkpoint_every == 0:
                checkpoints.save(step, state, _progress(step, began))
                saved = step
        if step != saved:
            checkpoints.save(step, state, _progress(step, began))
        evaluated = training.evaluate(experiment, mesh, state)
    status = "completed" if finished else "stopped"
    summary = _summary(settings, state, evaluated, status, _progress(step, began))
    write_json(workdir / "summary.json", summary)
    draw_curves(workdir, settings)
    return Run(workdir, settings, state, summary)


def _progress(step: int, began: float) -> dict[str, Any]:
    return {"step": step, "wall_seconds": round(time.monotonic() - began, 2)}


def _rows(
    step: int, split: str, settings: Settings, active: np.ndarray, metrics: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of the seeds that were still learning when the chunk began."""
    every = rows(step, split, list(settings.seeds), jax.tree.map(lambda a: a.tolist(), metrics))
    return [row for row, learning in zip(every, active, strict=True) if learning]


def _summary(
    settings: Settings,
    state: training.TrainState,
    evaluated: dict[str, Any],
    status: str,
    progress: dict[str, Any],
) -> dict[str, Any]:
    reached = lambda steps: [None if s == training.NOT_YET else s for s in steps.tolist()]
    solved, diverged = reached(state.solved_step), reached(state.diverged_step)
    return {
        "status": "diverged" if None not in diverged else status,
        **progress,
        "parameters": settings.experiment.parameters,
        "baseline_loss": settings.experiment.task.baseline_loss,
        "seeds": list(settings.seeds),
        "eval": {name: _spread(values.tolist()) for name, values in evaluated.items()},
        "solved_step": solved,
        "diverged_step": diverged,
    }


def _spread(values: list[float]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    return {
        "mean": statistics.fmean(finite) if finite else None,
        "std": statistics.stdev(finite) if len(finite) > 1 else None,
        "per_seed": [value if math.isfinite(value) else None for value in values],
    }


@contextmanager
def _stop_requests() -> Iterator[Any]:
    """Turns the first SIGINT or SIGTERM into a question that the loop asks between chunks.

    A second one ends the program at once.
    """
    received: list[int] = []

    def handle(number, frame):
        del frame
        if received:
            raise KeyboardInterrupt
        received.append(number)
        print("stopping after this chunk; once more to stop at once", file=sys.stderr)

    numbers = (signal.SIGINT, signal.SIGTERM)
    try:
        before = {number: signal.signal(number, handle) for number in numbers}
    except ValueError:  # not the main thread: signals are not ours to take
        yield lambda: False
        return
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def define_flags() -> None:
    commandline.define_config()
    flags.DEFINE_string("workdir", None, "where the run is kept (runs/CONFIG-HASH)")


def main() -> int:
    settings = resolve(flags.FLAGS.config)
    workdir = Path(flags.FLAGS.workdir or default_workdir(settings))
    use_cpu_cores(*settings.mesh_sizes)
    before = read_summary(workdir)
    if before and before["status"] != "stopped":
        open_workdir(workdir, settings)  # refuses another config's folder
        print(f"{workdir} is finished: nothing to do")
        _report(workdir, settings, before)
        return 0
    run = train_settings(settings, workdir)
    assert run.summary is not None
    _report(workdir, settings, run.summary)
    if run.summary["status"] == "stopped":
        print("stopped; the same command goes on from here")
        return commandline.INTERRUPTED
    return 0


def _report(workdir: Path, settings: Settings, summary: dict[str, Any]) -> None:
    commandline.console().print(final_table(summary, settings.steps))
    print(f"curves:      {workdir / 'curves.png'}")
    print(f"tensorboard: {commandline.tool('tensorboard')} --logdir={workdir}")


if __name__ == "__main__":
    commandline.run(main, define_flags)
