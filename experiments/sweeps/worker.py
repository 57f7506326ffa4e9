"""Runs some of a sweep's trials: python -m experiments.sweeps.worker --sweep=DIR --trials=NAME,NAME

experiments.sweep starts it, here or on a cluster's node. Several trials are trained together.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from absl import flags

from experiments.runs.records import recorded_cores
from experiments.settings.resolution import Settings
from experiments.sweeps.folder import SweepFolder
from experiments.system import commandline
from experiments.system.files import RunError
from experiments.system.signals import STOPPED, stop_requests
from experiments.training.loop import train_together
from gru_jax import FieldError
from gru_jax.devices import use_cpu_cores


def define_flags() -> None:
    flags.DEFINE_string("sweep", None, "the sweep's folder", required=True)
    flags.DEFINE_list("trials", None, "names of trials with commas between them", required=True)
    flags.DEFINE_list("cpus", None, "numbers of the CPUs to stay on (all)")
    flags.DEFINE_bool("attached", False, "stop when the standard input ends")


def main() -> int:
    chosen = flags.FLAGS
    folder = SweepFolder(Path(chosen.sweep))
    trials = folder.trials()
    for name in chosen.trials:
        if name not in trials:
            raise FieldError("--trials", name, f"names in {folder.path}/sweep.json")
    if chosen.cpus:  # only given where there is such a call
        os.sched_setaffinity(0, map(int, chosen.cpus))
    if chosen.attached:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    runs = {name: (trials[name].settings, folder.workdir(name)) for name in chosen.trials}
    first, workdir = next(iter(runs.values()))
    seeds = sum(len(settings.seeds) for settings, _ in runs.values())
    use_cpu_cores(seeds, first.experiment.parts, cores=recorded_cores(workdir, 1))
    with stop_requests() as stop:
        train_trials(folder, runs, stop)
        return STOPPED + stop() if stop() else 0


def train_trials(
    folder: SweepFolder, runs: dict[str, tuple[Settings, Path]], stop: Callable[[], int]
) -> None:
    """Trains trials together; where that fails, one by one, and says which have failed."""
    for name in runs:
        folder.forget_failure(name)
    # A scheduler that starts a job again has ended it before: nobody else is at work.
    again = int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
    try:
        train_together(list(runs.values()), quiet=False, stop=stop, force=again)
    except (FieldError, RunError, OSError, MemoryError, RuntimeError) as error:
        if len(runs) == 1:
            (name,) = runs
            folder.fail(name, str(error))
            print(f"{name}: {error}", file=sys.stderr)
            return
        for name, run in runs.items():
            if not stop():
                train_trials(folder, {name: run}, stop)


def _stop_at_end_of_input() -> None:
    """Whoever started this process is gone."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    commandline.run(main, define_flags)
