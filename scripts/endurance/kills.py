"""Kills runs with SIGKILL and compares their results with those of an undisturbed run.

python -m scripts.endurance.kills --kills=1000    writes counts of what was hit to
                                                 results/kills.json

Each run is the real program in its own process. It is forked from a server that has already
imported the modules, which saves seconds per kill.
"""

import collections
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import rich.progress
import safetensors.numpy

from experiments.figures import families
from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from gru_jax import fields
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "kills.json"
STEPS = 300
# Small, so that starting takes most of the time, with a checkpoint after every second chunk.
CONFIG: dict[str, Any] = {
    "task.length": 6,
    "model.cell": families.simplest(),
    "model.hidden_sizes": "(4,)",
    "population.seeds": 2,
    "train.steps": STEPS,
    "train.log_every": 5,
    "train.checkpoint_every": 10,
    "train.batch_size": 4,
    "train.evaluation_examples": 8,
}
MOMENTS = ("any", "compiling", "checkpoint", "partial", "metrics", "again")
OPERATIONS = ("open", "os.rename", "shutil.rmtree")  # as Python's audit hooks call them


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    for name, least in (("kills", 1), ("seed", 0), ("lanes", 1)):
        fields.integer(f"--{name}", getattr(chosen, name), least)
    began = time.monotonic()
    with rich.progress.Progress() as progress:
        bar = progress.add_task("kills", total=chosen.kills)
        counts = kill(chosen.kills, chosen.seed, chosen.lanes, lambda: progress.advance(bar))
    minutes = round((time.monotonic() - began) / 60, 1)
    write_json(RESULTS, {**counts, "minutes": minutes, "environment": environment()})
    print(json.dumps(counts, indent=1))
    return int(counts["runs"] != counts["equal_runs"])


def kill(
    kills: int,
    seed: int = 0,
    lanes: int = 1,
    done: Callable[[], None] = lambda: None,
    moments: tuple[str, ...] = MOMENTS,
) -> dict[str, Any]:
    """Kills runs until the count is reached, then lets the last ones finish.

    Args:
      moments: each kill waits for one of these, all of them in turn in random orders.

    Returns:
      The number of kills, by what they waited for and by what they hit; the number of runs, and
      how many of these ended with the bits of the undisturbed one.
    """
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["experiments.train", "experiments.training.recorder"])
    with tempfile.TemporaryDirectory() as folder:
        ready = server.Process(target=int)  # starts the server before anything is timed
        ready.start()
        ready.join()
        # The second one finds its programs compiled, as all that are to be killed do.
        for name in ("compiles", "whole"):
            whole = _Run(Path(folder) / name, server)
            times = whole.timed()
        expected = whole.end()
        shares = [kills // lanes + (lane < kills % lanes) for lane in range(lanes)]
        with ThreadPoolExecutor(lanes) as pool:
            lane = lambda number, share: _lane(
                Path(folder) / str(number),
                server,
                expected,
                times,
                share,
                random.Random(f"{seed} {number}"),
                moments,
                done,
            )
            found = sum(pool.map(lane, range(lanes), shares), collections.Counter())
    return {"kills": kills, **dict(sorted(found.items()))}


def _lane(
    folder: Path,
    server: Any,
    expected: tuple[Any, ...],
    times: tuple[float, float, float],
    kills: int,
    chance: random.Random,
    moments: tuple[str, ...],
    done: Callable[[], None],
) -> collections.Counter[str]:
    counts: collections.Counter[str] = collections.Counter()
    killed, to_come = 0, list[str]()
    while killed < kills:
        run = _Run(folder, server)
        while killed < kills:
            to_come = to_come or chance.sample(moments, len(moments))
            moment = to_come.pop()
            run.start(chance.randint(1, 32) if moment == "partial" else None)
            run.wait(moment, chance, times)
            newest = run.newest()
            if not run.kill():
                to_come.append(moment)  # it had already ended: another run is killed there
                break
            killed += 1
            done()
            counts[f"waited for: {moment}"] += 1
            counts.update(f"hit: {what}" for what in run.hit(newest))
        if killed == kills:
            run.start()
            run.process.join()
        ended = run.end()
        counts["runs"] += 1
        counts["equal_runs"] += ended == expected
        if ended != expected:
            kept = Path(tempfile.mkdtemp(prefix="unequal-"))
            shutil.copytree(folder, kept, dirs_exist_ok=True)
            print(f"not equal: kept in {kept}", file=sys.stderr)
        shutil.rmtree(folder)
    return counts


class _Run:
    """One run's folder, and the process that works in it."""

    def __init__(self, folder: Path, server: Any):
        folder.mkdir()
        self.workdir, self.printed = folder / "run", folder / "printed"
        self._server = server
        self._newest_before = -1

    def start(self, fatal: int | None = None) -> None:
        """Starts the program. `fatal`: what `_die` is given; None lets it live."""
        self._newest_before = self.newest()
        self.printed.write_text("")
        overrides = [f"--config.{name}={value}" for name, value in CONFIG.items()]
        arguments = ["--config=configs/adding.py", f"--workdir={self.workdir}", *overrides]
        self.process = self._server.Process(target=_program, args=(arguments, self.printed, fatal))
        self.began = time.monotonic()
        self.process.start()

    def wait(self, moment: str, chance: random.Random, times: tuple[float, float, float]) -> None:
        """Returns at a random moment of the given kind, or when the process ends."""
        compiling, first_step, whole = times
        every = {"checkpoint": "train.checkpoint_every", "metrics": "train.log_every"}
        if moment in every:  # a checkpoint follows the metrics of its step
            steps = CONFIG[every[moment]]
            self._until((self._logged() // steps + chance.randint(1, 8)) * steps)
            time.sleep(chance.uniform(0, 0.004))
        elif moment == "partial":
            self.process.join()
        else:
            low, high = {
                "any": (0, whole),
                "compiling": (compiling, first_step),
                "again": (0, first_step),
            }[moment]
            self.process.join(chance.uniform(low, high))

    def _until(self, step: int) -> None:
        while self._logged() < step and self.process.is_alive():
            time.sleep(0.0002)

    def kill(self) -> bool:
        """Kills the process; returns whether it was still running."""
        self.process.kill()
        self.process.join()
        return self.process.exitcode == -signal.SIGKILL

    def hit(self, newest: int) -> list[str]:
        """What the kill interrupted, judged by what is left in the folder."""
        printed = self.printed.read_text()
        found = {
            "before compiling": "compiling" not in printed,
            "compiling": "compiling" in printed and "step " not in printed,
            "training": "step " in printed,
            "a checkpoint being written": bool(self._partials()),
            "metrics of a step without its checkpoint": self._logged() > max(newest, 0),
            "no progress since the kill before": newest == self._newest_before >= 0,
        }
        return [what for what, true in found.items() if true]

    def newest(self) -> int:
        """The step of the newest checkpoint; -1 for none."""
        folder = self.workdir / "checkpoints"
        names = [path.name for path in folder.iterdir()] if folder.exists() else []
        return max((int(name) for name in names if name.isdecimal()), default=-1)

    def _logged(self) -> int:
        """The step of the last whole line of the metrics; 0 for none."""
        metrics = self.workdir / "metrics.jsonl"
        text = metrics.read_text() if metrics.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return int(json.loads(lines[-1])["step"]) if lines else 0

    def _partials(self) -> list[Path]:
        return list((self.workdir / "checkpoints").glob("*.partial"))

    def end(self) -> tuple[Any, ...]:
        """What equal runs share: metrics, parameters, summary, files, and complaints."""
        printed = self.printed.read_text()
        assert self.process.exitcode == 0, printed
        state = self.workdir / "checkpoints" / str(STEPS) / "state.safetensors"
        arrays = safetensors.numpy.load(state.read_bytes())
        summary = json.loads((self.workdir / "summary.json").read_text())
        return (
            (self.workdir / "metrics.jsonl").read_bytes(),
            {name: array.tobytes() for name, array in arrays.items()},
            {name: value for name, value in summary.items() if name != "wall_seconds"},
            [line for line in printed.splitlines() if line.startswith("checkpoint ")],
            sorted(path.name.split(".out.")[0] for path in self.workdir.iterdir()),
        )

    def timed(self) -> tuple[float, float, float]:
        """Runs it: seconds until it starts to compile, until its first step, and until its end."""
        self.start()
        seen = []
        for word in ("compiling", "step "):
            while self.process.is_alive() and word not in self.printed.read_text():
                time.sleep(0.01)
            seen.append(time.monotonic() - self.began)
        self.process.join()
        return seen[0], seen[1], time.monotonic() - self.began


def _program(arguments: list[str], printed: Path, fatal: int | None) -> None:
    """What `python -m experiments.train` does once its modules are imported."""
    from experiments import train, usage
    from experiments.system import commandline

    if fatal is not None:
        _die(fatal)
    sys.stdout = sys.stderr = printed.open("w", buffering=1)
    sys.argv = ["experiments.train", *arguments]
    commandline.run(train.main, usage.TRAIN)


def _die(fatal: int) -> None:
    """Has this process killed before the given one of its operations on unfinished checkpoints.

    Such a moment lasts less than a millisecond: from outside it is met by chance alone.
    """
    operations = itertools.count(1)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        unfinished = event in OPERATIONS and ".partial" in str(arguments[0])
        if unfinished and next(operations) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


if __name__ == "__main__":
    sys.exit(guarded(main))
