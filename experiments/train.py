"""Trains a population of models. Its flags and its page of --help are `usage.TRAIN`."""

import json
import sys
from pathlib import Path
from typing import Any

import jax
from absl import flags
from ml_collections import ConfigDict

from experiments import usage
from experiments.datasets.texts import unlearned
from experiments.runs import Run
from experiments.runs.records import read_config, read_summary, recorded_cores
from experiments.runs.workdir import check_config, differences
from experiments.settings.descriptions import described
from experiments.settings.options import settable
from experiments.settings.resolution import Settings, default_workdir, resolve
from experiments.settings.schema import by_content, has_file, with_data
from experiments.system import commandline, own, processes, terminal
from experiments.system.files import at_home
from experiments.system.signals import STOPPED, stop_requests
from experiments.training.loop import train_settings
from gru_jax import FieldError
from gru_jax.devices import from_first_process, use_cpu_cores


def train(
    config: ConfigDict | dict[str, Any], workdir: str | None = None, quiet: bool = False
) -> Run:
    """Trains the population that a config describes, or resumes it, and returns the run.

    It uses the devices that JAX already has. In a notebook on a CPU, call
    `gru_jax.devices.use_cpu_cores(seeds, batch_size)` first to use every core.

    Args:
      config: what a file in `configs` returns, overridden as you like.
      workdir: the run's folder; runs/CONFIG-HASH by default.
      quiet: print nothing.

    Raises:
      FieldError: a field of the config has a value that is not allowed.
      RunError: the folder holds another run, is in use, or has no usable checkpoint; or the
        population needs more memory than there is.
    """
    settings = resolve(config)
    return train_settings(settings, at_home(workdir or default_workdir(settings)), quiet)


def main() -> int:
    if flags.FLAGS.describe:
        print(described(flags.FLAGS.describe))
        return 0
    config, data = flags.FLAGS.config.to_dict(), flags.FLAGS.data
    if data and not has_file(config):
        raise FieldError("--data", data[0], "left out, since config.task.path names no file")
    settings = resolve(with_data(config, data))
    extend = flags.FLAGS.extend
    if extend and not flags.FLAGS.workdir:
        raise FieldError(
            "--workdir", None, "given with --extend, since more steps change the default folder"
        )
    workdir = Path(flags.FLAGS.workdir or default_workdir(settings))
    if own.describes_a_sweep(file := commandline.config_file()):
        told = f"{file} adds trials, which experiments.sweep runs; this trains its config alone"
        print(f"note: {told}", file=sys.stderr)
    if told := unlearned(settings.experiment.task):
        print(f"note: {told}", file=sys.stderr)
    count = processes.announced()
    use_cpu_cores(*settings.mesh_sizes, cores=recorded_cores(workdir, count), processes=count)
    with stop_requests() as stop, processes.joined():
        processes.check_same(json.dumps(by_content(settings.config), sort_keys=True))
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


def _finished(workdir: Path, settings: Settings, extend: bool) -> bool:
    before = read_summary(workdir)
    if before is None or before.get("status") == "stopped":
        return False
    check_config(workdir, settings, extend)  # raises if the folder belongs to another config
    return not differences(read_config(workdir), settings.config)


def _report(workdir: Path, settings: Settings, summary: dict[str, Any]) -> None:
    from experiments.training.display import final_table

    has_target = settings.experiment.target is not None
    terminal.console().print(final_table(summary, settings.steps, has_target))
    print(f"curves:      {workdir / 'curves.png'}")
    print(f"tensorboard: {terminal.tool('tensorboard')} --logdir={workdir}")


if __name__ == "__main__":
    commandline.run(main, usage.TRAIN, settable)
