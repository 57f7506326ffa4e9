"""Trains a population of models: python -m experiments.train --config=configs/adding.py

The same command again resumes the run, or says that it is finished.
"""

import json
import math
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np
from absl import flags
from ml_collections import ConfigDict

from experiments import commandline, processes
from experiments.checkpoints import decode
from experiments.files import RunError
from experiments.memory import check_memory, release
from experiments.settings import Settings, default_workdir, resolve
from experiments.signals import STOPPED, stop_requests
from experiments.workdir import (
    Run,
    abstract_state,
    check_config,
    flat,
    read_config,
    read_environment,
    read_summary,
    to_state,
)
from gru_jax import FieldError, training
from gru_jax.devices import from_first_process, make_mesh, to_host, use_cpu_cores


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
      RunError: the folder holds another run, is in use, or has no usable checkpoint; or the
        population needs more memory than there is.
    """
    settings = resolve(config)
    return train_settings(settings, Path(workdir or default_workdir(settings)), quiet)


def train_settings(
    settings: Settings,
    workdir: Path,
    quiet: bool = False,
    stop: Callable[[], int] = lambda: 0,
    **opening: bool,
) -> Run:
    """`train` for a config that is resolved already.

    Args:
      stop: asked between chunks; not 0: the run is checkpointed and ends as "stopped".
      opening: `extend` and `force`, see `recorder`.
    """
    # Imported here: a refused config need not wait a second for what draws and logs.
    from experiments.recorder import recorder
    from experiments.writers import rows

    experiment = settings.experiment
    mesh = processes.checked(make_mesh(*settings.mesh_sizes))
    check_memory(settings, mesh)
    abstract = abstract_state(settings, mesh)
    record = None
    with ExitStack() as stack:
        if jax.process_index() == 0:  # one process writes
            record = stack.enter_context(recorder(workdir, settings, **opening))
        data = from_first_process(record.newest(flat(abstract)) if record else None)
        if data is None:
            step, seconds = 0, 0.0
            state = training.init(
                experiment, mesh, settings.seeds, settings.learning_rates, settings.clip_norms
            )
        else:
            arrays, progress = decode(data, flat(abstract))
            step, seconds = progress["step"], progress["wall_seconds"]
            state = to_state(arrays, abstract, mesh)
        saved, began = step, time.monotonic() - seconds
        if record:
            stack.enter_context(record.writing(step, quiet))

        def save() -> None:
            arrays = to_host(flat(state))  # takes all processes
            if record:
                record.save(step, arrays, _progress(step, began))
            release()

        active = to_host(state.active)
        while step < settings.steps and active.any() and not processes.any_of(stop()):
            state, trained = training.train_chunk(experiment, mesh, state)
            evaluated = training.evaluate(experiment, mesh, state)
            state = training.freeze_solved(experiment, state, evaluated)
            step += experiment.chunk
            learning = active
            trained, evaluated, active, solved, diverged = to_host(
                (trained, evaluated, state.active, state.solved_step, state.diverged_step)
            )
            if record:
                record.chunk(
                    step,
                    [
                        row
                        for split, metrics in (("train", trained), ("eval", evaluated))
                        for row in rows(step, split, list(settings.seeds), metrics, learning)
                    ],
                    losses=evaluated["loss"].tolist(),
                    solved=int((solved != training.NOT_YET).sum()),
                    diverged=int((diverged != training.NOT_YET).sum()),
                )
            if step % settings.checkpoint_every == 0:
                save()
                saved = step
        if step != saved:
            save()
        finished = step == settings.steps or not active.any()
        summary = _summary(
            settings,
            to_host(state),
            to_host(training.evaluate(experiment, mesh, state)),
            "completed" if finished else "stopped",
            _progress(step, began),
        )
        if record:
            record.finish(summary)
    return Run(workdir, settings, state, summary)


def _progress(step: int, began: float) -> dict[str, Any]:
    return {"step": step, "wall_seconds": round(time.monotonic() - began, 2)}


def _summary(
    settings: Settings,
    state: training.TrainState,
    evaluated: dict[str, np.ndarray],
    status: str,
    progress: dict[str, Any],
) -> dict[str, Any]:
    reached = lambda steps: [None if s == training.NOT_YET else s for s in steps.tolist()]
    solved, diverged = reached(state.solved_step), reached(state.diverged_step)
    norms = zip(diverged, state.gradient_norm.tolist(), strict=True)
    return {
        "status": "diverged" if None not in diverged else status,
        **progress,
        "parameters": settings.experiment.parameters,
        "baseline_loss": settings.experiment.task.baseline_loss,
        "seeds": list(settings.seeds),
        "eval": {name: _spread(values.tolist()) for name, values in evaluated.items()},
        "solved_step": solved,
        "diverged_step": diverged,
        # Of the gradient at the last step before; None also where there was none.
        "diverged_norm": [
            None if step is None or not math.isfinite(norm) else norm for step, norm in norms
        ],
    }


def _spread(values: list[float]) -> dict[str, Any]:
    finite = [value for value in values if math.isfinite(value)]
    return {
        "mean": statistics.fmean(finite) if finite else None,
        "std": statistics.stdev(finite) if len(finite) > 1 else None,
        "per_seed": [value if math.isfinite(value) else None for value in values],
    }


def define_flags() -> None:
    commandline.define_config()
    flags.DEFINE_string("workdir", None, "where the run is kept (runs/CONFIG-HASH)")
    flags.DEFINE_bool("extend", False, "let a run go on to a higher config.train.steps")
    flags.DEFINE_bool("force", False, "take the folder over from a process on another host")
    processes.define_flags()


def main() -> int:
    settings = resolve(flags.FLAGS.config)
    extend = flags.FLAGS.extend
    if extend and not flags.FLAGS.workdir:
        raise FieldError("--workdir", None, "given with --extend: more steps, another default")
    workdir = Path(flags.FLAGS.workdir or default_workdir(settings))
    count = processes.announced()
    use_cpu_cores(*settings.mesh_sizes, cores=_recorded_cores(workdir, count), processes=count)
    with stop_requests() as stop, processes.joined():
        processes.check_same(json.dumps(settings.config, sort_keys=True))
        first = jax.process_index() == 0
        if (
            from_first_process(b"" if first and _finished(workdir, settings, extend) else None)
            is None
        ):
            opening = {"extend": extend, "force": flags.FLAGS.force}
            summary = train_settings(settings, workdir, stop=stop, **opening).summary
        else:
            summary = read_summary(workdir) if first else None
            if first:
                print(f"{workdir} is finished: nothing to do")
        stopped = processes.any_of(stop())
    if first and summary:
        _report(workdir, settings, summary)
    if summary and summary["status"] == "stopped":
        print("stopped; the same command goes on from here")
        return STOPPED + stopped
    return 0


def _recorded_cores(workdir: Path, count: int) -> int:
    """CPU devices of this process when the run began, so that it goes on with the same bits."""
    try:
        recorded = read_environment(workdir)
    except RunError:
        return 0
    devices = recorded.get("devices")
    if recorded.get("device") != "cpu" or not isinstance(devices, int) or devices > 1024:
        return 0
    return devices // count if devices % count == 0 else 0


def _finished(workdir: Path, settings: Settings, extend: bool) -> bool:
    before = read_summary(workdir)
    if before is None or before.get("status") == "stopped":
        return False
    check_config(workdir, settings, extend)  # refuses another config's folder
    return read_config(workdir) == settings.config


def _report(workdir: Path, settings: Settings, summary: dict[str, Any]) -> None:
    from experiments.writers import final_table

    commandline.console().print(final_table(summary, settings.steps))
    print(f"curves:      {workdir / 'curves.png'}")
    print(f"tensorboard: {commandline.tool('tensorboard')} --logdir={workdir}")


if __name__ == "__main__":
    commandline.run(main, define_flags)
