"""Plants small faults in copies of the code, one at a time, and says which test catches each.

python -m scripts.endurance.mutants               all of mutants.toml, to results/mutants.json
python -m scripts.endurance.mutants --only=lstm   those whose file or description matches
python -m scripts.endurance.mutants --check       only whether each of them can still be planted

A fault is tried on the tests of `make quick`, then on the rest of `make test`: first those that
have caught the most faults of its folder and those that import its file, then those that mirror
it; not on those that import nothing of it. The same command again
tries what has no result yet; to try all anew, delete the results.
"""

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import rich.progress

from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_json
from gru_jax import fields
from scripts.endurance.faults import (
    PASSED,
    Fault,
    Imports,
    by_distance,
    copy_tracked,
    matches,
    outcome,
    planted,
    problem,
    read,
)
from scripts.paths import ROOT

LIST = Path(__file__).with_suffix(".toml")
RESULTS = ROOT / "results" / "mutants.json"
OWN_TEST = "tests/scripts/test_mutants.py"  # it holds that the faults are not in the code
DOCTESTS = "gru_jax"  # the folder whose docstrings `make test` runs as well

Row = dict[str, Any]


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", default="*", metavar="PATTERN")
    parser.add_argument("--lanes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--limit", type=float, default=10, help="minutes that one test may take before it hangs"
    )
    chosen = parser.parse_args()
    return guarded(lambda: run(chosen))


def run(chosen: argparse.Namespace) -> int:
    faults = read(LIST)
    stale = [f"{fault.file}: {found}" for fault in faults if (found := problem(fault, ROOT))]
    for line in stale:
        print(f"error: {LIST.name}: {line}", file=sys.stderr)
    if stale or chosen.check:
        return 2 if stale else 0
    fields.integer("--lanes", chosen.lanes, 1)
    fields.real("--limit", chosen.limit, above=0)
    wanted = [fault for fault in faults if matches(fault, chosen.only)]
    if not wanted:
        count = fields.counted(len(faults), "fault")
        raise RunError(f"--only={chosen.only} fits none of the {count}")
    book = Book(RESULTS, faults)
    todo = [fault for fault in wanted if not book.knows(fault)]
    if len(todo) < len(wanted):
        print(f"{len(wanted) - len(todo)} of {len(wanted)} are known already")
    if todo:
        try_all(todo, min(chosen.lanes, len(todo)), 60 * chosen.limit, book)
    survivors = [fault for fault in wanted if book.rows[fault]["test"] is None]
    print(f"caught: {len(wanted) - len(survivors)} of {fields.counted(len(wanted), 'fault')}")
    for fault in survivors:
        print(f"not caught: {fault.file}: {fault.why}")
    return int(bool(survivors))


class Book:
    """What is known of each fault; on disk after every one.

    rows: by fault what `Lane.attempt` has found, and at which commit; None: not a committed state.
    """

    def __init__(self, path: Path, faults: list[Fault]):
        self._path, self._faults, self._lock = path, faults, threading.Lock()
        self._made = environment()
        self._commit = None if self._made["modified"] else self._made["commit"]
        self.rows: dict[Fault, Row] = {}
        names = [field.name for field in dataclasses.fields(Fault)]
        for row in json.loads(path.read_text())["faults"] if path.exists() else []:
            self.rows[Fault(*(row[name] for name in names))] = row

    def knows(self, fault: Fault) -> bool:
        """Whether it was tried, at a commit of the code."""
        return self.rows.get(fault, {}).get("commit") is not None

    def likely(self, file: str) -> list[str]:
        """The files of tests that have caught the most faults of the folder that `file` is in."""
        beside = lambda fault: Path(fault.file).parent == Path(file).parent
        with self._lock:
            tests = [
                row["test"].partition("::")[0]
                for fault, row in self.rows.items()
                if row["test"] and beside(fault)
            ]
        return [test for test, _ in collections.Counter(tests).most_common(2)]

    def add(self, fault: Fault, found: Row) -> None:
        with self._lock:
            self.rows[fault] = {**dataclasses.asdict(fault), **found, "commit": self._commit}
            rows = [self.rows[each] for each in self._faults if each in self.rows]
            write_json(self._path, {"faults": rows, "environment": self._made})


def try_all(faults: list[Fault], lanes: int, limit: float, book: Book) -> None:
    """Tries faults in so many lanes, and shows what catches each."""
    todo: queue.SimpleQueue[Fault] = queue.SimpleQueue()
    for fault in faults:
        todo.put(fault)
    stop = threading.Event()
    columns = (*rich.progress.Progress.get_default_columns(), rich.progress.MofNCompleteColumn())

    def work(folder: Path) -> None:
        lane = Lane(folder, folder.parent / "compiled", limit, stop, book)
        with contextlib.suppress(queue.Empty):
            while True:
                fault = todo.get_nowait()
                found = lane.attempt(fault)
                book.add(fault, found)
                progress.console.print(told(fault, found), soft_wrap=True)
                progress.advance(bar)

    with (
        tempfile.TemporaryDirectory(prefix="mutants-") as folder,
        rich.progress.Progress(*columns) as progress,
        ThreadPoolExecutor(lanes) as pool,
    ):
        bar = progress.add_task("faults", total=len(faults))
        running = [pool.submit(work, Path(folder, str(lane))) for lane in range(lanes)]
        try:
            for lane in as_completed(running):
                lane.result()
        finally:  # also where Ctrl-C or a lane's error ends it
            stop.set()


def told(fault: Fault, found: Row) -> str:
    """One line about a fault that was tried."""
    by = "[red]nothing[/red]" if found["test"] is None else f"{found['test']} ({found['how']})"
    quick = ", quick" if found["quick"] else ""
    return f"{fault.file}: {fault.why} -> {by}{quick}, {found['seconds']:.0f} s"


class StoppedError(Exception):
    """Somebody wants it all to end."""


class Lane:
    """A copy of the project, and its tests, which run in one process at a time.

    Args:
      folder: where the copy is made, with what the tests leave behind.
      compiled: a folder of compiled programs, which all lanes share.
      limit: seconds that one test may take.
      stop: once set, everything ends with StoppedError.
      book: what is known of other faults.
    """

    def __init__(
        self, folder: Path, compiled: Path, limit: float, stop: threading.Event, book: Book
    ):
        self.tree, self._printed = folder / "tree", folder / "printed"
        self._limit, self._stop, self._book = limit, stop, book
        (folder / "tmp").mkdir(parents=True)
        copy_tracked(ROOT, self.tree)
        self._environment = os.environ | {
            "JAX_COMPILATION_CACHE_DIR": str(compiled),
            "HYPOTHESIS_PROFILE": "unshrunk",
            # Compiled files are known by age and size, in which a fault may not differ.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": str(self.tree),
            "TMPDIR": str(folder / "tmp"),
        }
        files = sorted(self.tree.glob("tests/**/test_*.py"))
        names = {str(path.relative_to(self.tree)): path.read_text() for path in files}
        names.pop(OWN_TEST, None)
        self._tests = [*names, DOCTESTS]
        self._quick = [name for name, text in names.items() if "mark.quick" in text]
        self._imports = Imports(self.tree)
        self._sound: set[str] = set()
        self._unsound: set[str] = set()

    def attempt(self, fault: Fault) -> Row:
        """Tries a fault: the test that catches it (None: none does), and that of `make quick`."""
        began = time.monotonic()
        with planted(fault, self.tree):
            how, test = self._first("quick", self._quick, fault)
            quick = test or None
            if how == PASSED:
                how, test = self._first("not quick", self._tests, fault)
        if how != PASSED and not self._is_sound(test):
            return self.attempt(fault)
        seconds = round(time.monotonic() - began, 1)
        return {"test": test or None, "quick": quick, "how": how, "seconds": seconds}

    def _first(self, marked: str, tests: Sequence[str], fault: Fault) -> tuple[str, str]:
        tests = self._imports.reaching(fault.file, tests)
        skipped = [f"--deselect={test}" for test in sorted(self._unsound)]
        likely = [test for test in self._book.likely(fault.file) if test in tests]
        likely += [t for t in self._imports.importing(fault.file, tests) if t not in likely]
        nearer = [
            [test for test in near if test not in likely] for near in by_distance(fault.file, tests)
        ]
        for some in filter(None, [likely, *nearer]):
            how, test = self._pytest("-m", marked, *skipped, *some)
            if how != PASSED:
                return how, test
        return PASSED, ""

    def _is_sound(self, test: str) -> bool:
        """Whether it passes without the fault; if not, it is left out from now on.

        Raises:
          RunError: it cannot be left out.
        """
        if test in self._sound:
            return True
        if test in self._unsound:
            raise RunError(f"{test} does not pass without any fault: repair it first")
        just_collected = ["--collect-only"] if "::" not in test else []
        if self._pytest(*just_collected, test)[0] == PASSED:
            self._sound.add(test)
            return True
        print(f"{test} does not pass without the fault either: left out", file=sys.stderr)
        self._unsound.add(test)
        return False

    def _pytest(self, *arguments: str) -> tuple[str, str]:
        options = ["-x", "-vv", "-rfE", "--tb=no", "--no-header", "-p", "no:cacheprovider"]
        with self._printed.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *arguments],
                cwd=self.tree,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that whatever it has started can be ended with it
            )
        try:
            status = self._status(process)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        return outcome(status, self._printed.read_text(errors="replace"))

    def _status(self, process: subprocess.Popen[bytes]) -> int | None:
        size, since = -1, time.monotonic()
        while process.poll() is None:
            if self._stop.wait(0.2):
                raise StoppedError
            if (now := self._printed.stat().st_size) != size:
                size, since = now, time.monotonic()
            if time.monotonic() - since > self._limit:
                return None
        return process.returncode


if __name__ == "__main__":
    sys.exit(main())
