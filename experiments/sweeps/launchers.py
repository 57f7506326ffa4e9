"""Runs a sweep's trials in worker processes on this machine, or in jobs of a Slurm cluster."""

import contextlib
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from experiments.settings.trials import Trial
from experiments.sweeps.folder import SLURM, SweepFolder
from experiments.system import memory
from experiments.system.files import RunError, read_json_if_any, write_json
from gru_jax import FieldError, fields

Batch = list[str]  # names of the trials that one worker trains together
SEEDS_TOGETHER = 64  # the most seeds in a population of packed trials


class Launcher(Protocol):
    """Starts workers, and tells which have ended."""

    def waiting(self) -> set[str]:
        """Names of trials that an earlier command has already queued."""

    def start(self, trials: list[Trial]) -> None:
        """Takes more trials; what cannot start yet waits."""

    def ended(self) -> dict[str, str]:
        """Trials whose worker has ended since the last call, and how it ended."""

    def stop(self) -> str:
        """Stops what can be stopped, waits for it, and says what continues."""


def batches(trials: list[Trial], pack: bool) -> list[Batch]:
    """Groups trials by program, with at most `SEEDS_TOGETHER` seeds in a batch of several."""
    if not pack:
        return [[trial.name] for trial in trials]
    by_program: dict[object, list[Batch]] = {}
    room: dict[object, int] = {}
    for trial in trials:
        program, seeds = trial.settings.program, len(trial.settings.seeds)
        if seeds > room.get(program, 0):
            by_program.setdefault(program, []).append([])
            room[program] = max(SEEDS_TOGETHER, seeds)
        by_program[program][-1].append(trial.name)
        room[program] -= seeds
    return list(itertools.chain.from_iterable(by_program.values()))


def worker(folder: Path, batch: Batch, options: list[str]) -> list[str]:
    """The command that trains a batch."""
    safe = ["-P"] if sys.flags.safe_path else []  # see README: a folder's own `experiments`
    program = [sys.executable, *safe, "-m", "experiments.sweeps.worker", f"--sweep={folder}"]
    return [*program, f"--trials={','.join(batch)}", *options]


class LocalLauncher:
    """Worker processes on this machine, each with its share of the CPUs.

    Args:
      workers: how many at a time; 0: one per CPU, but no more than there are batches. On systems
        that cannot bind a process to CPUs (macOS), and with an accelerator, one, on all of them.
      flags: of the workers, such as --import.
      pack: whether trials that one program trains are trained together.
    """

    def __init__(
        self,
        folder: SweepFolder,
        workers: int = 0,
        flags: Sequence[str] = (),
        pack: bool = True,
    ):
        self._folder, self._flags, self._pack = folder, flags, pack
        self._workers = workers
        self._waiting: list[Trial] = []
        self._running: dict[int, tuple[Batch, subprocess.Popen[bytes]]] = {}

    def waiting(self) -> set[str]:
        return set()  # workers end with the process that started them

    def start(self, trials: list[Trial]) -> None:
        self._waiting += trials
        self._fill()

    def _fill(self) -> None:
        if not self._running:
            self._options = self._shares(len(batches(self._waiting, self._pack)))
        for place, options in enumerate(self._options):
            if place in self._running or not self._waiting:
                continue
            # Trials that have come since the last worker began are packed with those before them.
            batch = batches(self._waiting, self._pack)[0]
            self._waiting = [trial for trial in self._waiting if trial.name not in batch]
            with self._folder.log(batch[0]).open("ab") as log:
                process = subprocess.Popen(
                    worker(self._folder.path, batch, [*options, "--attached", *self._flags]),
                    stdin=subprocess.PIPE,  # closed when this process ends
                    stdout=log,
                    stderr=log,
                    env=memory.SHARED | os.environ if len(self._options) > 1 else None,
                )
            self._running[place] = batch, process

    def _shares(self, count: int) -> list[list[str]]:
        """The flags of each worker, if there are so many batches."""
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        usual = 1 if memory.accelerated() else len(cpus) or 1
        workers = min(self._workers or usual, max(count, 1))
        options = lambda share: [f"--cpus={','.join(map(str, share))}"] if share else []
        # With more workers than CPUs, some share one.
        return [
            options(cpus[place::workers] or cpus[place % max(len(cpus), 1) :][:1])
            for place in range(workers)
        ]

    def ended(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for place, (batch, process) in list(self._running.items()):
            if process.poll() is not None:
                del self._running[place]
                how = _how(process.returncode)
                found |= dict.fromkeys(batch, f"{how}: see {self._folder.log(batch[0])}")
        self._fill()
        return found

    def stop(self) -> str:
        self._waiting = []
        for _, process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for _, process in self._running.values():
            process.wait()
        return "stopped; the same command goes on from here"


def _how(status: int) -> str:
    if status < 0:
        killed = " (as the system does if memory is short)" if status == -9 else ""
        return f"its worker was ended by signal {-status}{killed}"
    return f"its worker ended with status {status}"


OPTIONS = {  # of --slurm, and what submitit calls them
    "account": "slurm_account",
    "array_parallelism": "slurm_array_parallelism",
    "constraint": "slurm_constraint",
    "cpus_per_task": "cpus_per_task",
    "gpus_per_node": "gpus_per_node",
    "mem_gb": "mem_gb",
    "minutes": "timeout_min",
    "partition": "slurm_partition",
    "qos": "slurm_qos",
}
NUMBERS = ("array_parallelism", "cpus_per_task", "gpus_per_node", "mem_gb", "minutes")


def slurm_options(given: Sequence[str]) -> dict[str, Any]:
    """The options that --slurm gives as NAME=VALUE, as submitit takes them.

    Raises:
      FieldError: a name is not one of `OPTIONS`, or its value is of another kind.
    """
    found: dict[str, Any] = {"timeout_min": 240}
    for text in given:
        name, _, value = text.partition("=")
        if name not in OPTIONS:
            known = ", ".join(OPTIONS) + fields.nearest(name, OPTIONS)
            raise FieldError("--slurm", text, f"NAME=VALUE, where NAME is one of {known}")
        whole = value.isdecimal() and int(value) > 0
        if not (whole if name in NUMBERS else value):
            kind = "a whole number, at least 1" if name in NUMBERS else "a word"
            raise FieldError("--slurm", text, f"{name}= followed by {kind}")
        found[OPTIONS[name]] = int(value) if whole else value
    return found


class SlurmLauncher:
    """One array of jobs, through submitit. A job that Slurm ends early is queued again.

    Args:
      options: what `slurm_options` returns.
      flags: of the workers, such as --import.
      pack: whether trials that one program trains are trained together.
    """

    def __init__(
        self,
        folder: SweepFolder,
        options: dict[str, Any],
        flags: Sequence[str] = (),
        pack: bool = True,
    ):
        self._folder, self._path = folder, folder.path.resolve() / SLURM
        self._pack = pack
        self._flags, self._options = flags, options
        for command in ("sbatch", "squeue"):
            if not shutil.which(command):
                raise RunError(
                    f"--launcher=slurm: {command} is not found; is Slurm installed here?"
                )
        try:
            import submitit
        except ImportError:
            extra = "pip install 'gru_jax[slurm]'"
            raise RunError(f"--launcher=slurm needs submitit: {extra}") from None
        self._submitit = submitit
        self._jobs: dict[str, Batch] = {}

    def waiting(self) -> set[str]:
        """Takes over jobs that an earlier command left in the queue."""
        jobs = self._path / "jobs.json"
        self._jobs = read_json_if_any(jobs) or {}
        if not all(isinstance(batch, list) for batch in self._jobs.values()):
            raise RunError(f"{jobs} is damaged")
        queued = self._queued() if self._jobs else set()
        self._jobs = {job: batch for job, batch in self._jobs.items() if job in queued}
        return {name for batch in self._jobs.values() for name in batch}

    def start(self, trials: list[Trial]) -> None:
        if not trials:
            return
        found = batches(trials, self._pack)
        executor = self._submitit.AutoExecutor(self._path, cluster="slurm")
        executor.update_parameters(name="gru_jax", **self._options)
        with executor.batch():
            jobs = [
                executor.submit(Job(self._folder.path.resolve(), batch, self._flags))
                for batch in found
            ]
        self._jobs |= {job.job_id: batch for job, batch in zip(jobs, found, strict=True)}
        write_json(self._path / "jobs.json", self._jobs)

    def ended(self) -> dict[str, str]:
        queued = self._queued()
        over = {job: batch for job, batch in self._jobs.items() if job not in queued}
        for job in over:
            del self._jobs[job]
        return {
            name: f"its job {job} ended: see {self._path}/{job}_0_log.err"
            for job, batch in over.items()
            for name in batch
        }

    def stop(self) -> str:
        ids = " ".join(self._jobs)
        return f"the jobs go on: `scancel {ids}` ends them, the same command shows them"

    def _queued(self) -> set[str]:
        command = ["squeue", "--noheader", "--array", "--format=%i", f"--user={os.getuid()}"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode:  # the controller may be unreachable for a while
            return set(self._jobs)
        return set(found.stdout.split())


class Job:
    """A job of the cluster: runs the worker, and can be queued again."""

    def __init__(self, folder: Path, batch: Batch, flags: Sequence[str]):
        self.folder, self.batch, self.flags = folder, batch, list(flags)

    def __call__(self) -> int:
        self._process = subprocess.Popen(worker(self.folder, self.batch, self.flags))
        return self._process.wait()

    def checkpoint(self) -> Any:
        """Called by submitit when the job runs out of time or is preempted."""
        import submitit

        self._process.terminate()
        # Not Popen.wait: this signal may have interrupted one that holds the lock.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        return submitit.helpers.DelayedSubmission(Job(self.folder, self.batch, self.flags))
