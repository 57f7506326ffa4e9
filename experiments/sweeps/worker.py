"""Trains some trials of a sweep, for `experiments.sweep`, which starts it."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from absl import flags

from experiments.runs.records import recorded_cores
from experiments.settings.resolution import Settings
from experiments.sweeps.folder import SweepFolder
from experiments.system import commandline
from experiments.system.files import RunError
from experiments.system.lock import InUseError
from experiments.system.manual import SWITCH, Flag, Program
from experiments.system.signals import STOPPED, stop_requests
from experiments.training.loop import train_together
from gru_jax import FieldError, fields
from gru_jax.devices import use_cpu_cores

PATIENCE, PAUSE = 60, 1  # seconds in all, and between two tries
FAILURES = (FieldError, fields.ContractError, RunError, OSError, MemoryError, RuntimeError)

PROGRAM = Program(
    name="sweeps.worker",
    purpose="Trains some trials of a sweep. Not for use by hand: experiments.sweep starts workers, "
    "here or on a cluster's nodes. The trials of one worker need the same compiled program, and "
    "are trained together.",
    examples=(("two trials", "--sweep=runs/sweeps/gates --trials=NAME,NAME"),),
    flags=(
        Flag("sweep", "DIR", "the sweep's folder", required=True),
        Flag("trials", "NAME,...", "names of trials", kind="list", required=True),
        Flag("cpus", "N,...", "the CPUs to use, by number (default: all)", kind="list"),
        Flag(
            "attached",
            "",
            "stop when standard input closes, as it does when the parent dies",
            False,
            SWITCH,
        ),
        Flag("force", "", "take folders over from a process on another host", False, SWITCH),
    ),
)


def main() -> int:
    chosen = flags.FLAGS
    folder = SweepFolder(Path(chosen.sweep))
    trials = folder.trials()
    for name in chosen.trials or [""]:
        if name not in trials:
            raise FieldError("--trials", name, f"the name of a trial in {folder.path}/sweep.json")
    if not all(cpu.isdecimal() for cpu in chosen.cpus or []):
        raise FieldError("--cpus", ",".join(chosen.cpus), "numbers, separated by commas")
    if chosen.cpus:  # only given on systems that have this call
        os.sched_setaffinity(0, map(int, chosen.cpus))
    if chosen.attached:
        threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
    runs = {name: (trials[name].settings, folder.workdir(name)) for name in chosen.trials}
    first, workdir = next(iter(runs.values()))
    seeds = sum(len(settings.seeds) for settings, _ in runs.values())
    use_cpu_cores(seeds, first.experiment.parts, cores=recorded_cores(workdir, 1))
    with stop_requests() as stop:
        trained = train_trials(folder, runs, stop, chosen.force)
        return STOPPED + stop() if stop() else int(not trained)


def train_trials(
    folder: SweepFolder,
    runs: dict[str, tuple[Settings, Path]],
    stop: Callable[[], int],
    force: bool = False,
) -> bool:
    """Trains trials together; if that fails, one by one, and records which have failed.

    Returns:
      False if another process trains one of them, and so has to say how that ends.
    """
    for name in runs:
        folder.forget_failure(name)
    # A scheduler restarts a job only after it has ended, so no other process holds the folders.
    again = int(os.environ.get("SLURM_RESTART_COUNT") or 0) > 0
    began = time.monotonic()
    while True:
        try:
            train_together(list(runs.values()), quiet=False, stop=stop, force=force or again)
            return True
        except InUseError as error:
            failure: BaseException = error
            # A worker whose command was killed ends, too, but only after its chunk.
            if not stop() and time.monotonic() - began < PATIENCE:
                time.sleep(PAUSE)
                continue
        except FAILURES as error:
            failure = error
        break
    if len(runs) > 1:
        each = [
            train_trials(folder, {n: run}, stop, force) for n, run in runs.items() if not stop()
        ]
        return all(each)
    (name,) = runs
    print(f"{name}: {failure}", file=sys.stderr)
    if isinstance(failure, InUseError):
        return False
    folder.fail(name, str(failure))
    return True


def _stop_at_end_of_input() -> None:
    """Stops this process when the one that started it is gone."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    commandline.run(main, PROGRAM)
