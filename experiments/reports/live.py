"""The page about a run or a sweep that goes on, from its folder, where nothing is changed."""

import hashlib
import math
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from experiments.reports.page import Live, page
from experiments.reports.results import Entry, entries
from experiments.runs.records import SWEEP
from experiments.sweeps.estimates import Progress
from experiments.sweeps.folder import RUNNING
from experiments.system.lock import LOCK, is_held
from experiments.system.terminal import duration

SHARE = 0.05  # of a core, at most, that making the page takes
FILES = ("config.json", "environment.json", "metrics.jsonl", "summary.json")
Stamp = tuple[tuple[int, int, int] | None, ...]


class Followed:
    """A folder, and the page about it, which is made anew only if the files have changed.

    Args:
      data: where the runs' data files lie now; where they lay at the last training by default.
      command: what shows the page.
      pause: seconds between two looks at the folder, at least; more if the page takes long.

    Raises:
      RunError: the folder holds neither a run nor a sweep.
      FieldError: a config in it has a value that is not allowed.
    """

    def __init__(self, folder: Path, data: Sequence[str], command: str, pause: float = 5):
        self._folder, self._data, self._command, self._pause = folder, data, command, pause
        self._lock = threading.Lock()
        self._kept: list[tuple[Stamp, Entry]] = []
        self._trials: Stamp = ()
        self._page, self._tag = "", ""
        self._next = -math.inf  # when the folder is looked at again
        self._stale = self._look()

    def current(self) -> tuple[str, str]:
        """The page, and a tag that changes with it.

        Raises:
          RunError: something in the folder is damaged.
        """
        with self._lock:
            if time.monotonic() >= self._next:
                first, began = not self._page, time.monotonic()
                self._stale |= self._look()
                if self._stale:  # also if it could not be made the last time
                    self._page = self._rendered()
                    self._tag = hashlib.sha256(
                        self._page.encode(errors="backslashreplace")
                    ).hexdigest()
                    self._stale = False
                # At first all figures are drawn, later those that change.
                cost = 0 if first else time.monotonic() - began
                self._next = time.monotonic() + max(self._pause, cost / SHARE)
            return self._page, self._tag

    def _look(self) -> bool:
        """Reads what has changed since the last look, and says whether anything has.

        To resolve the configs of a sweep takes longer than all the rest, and they rarely change.
        """
        trials = _stamp(self._folder / SWEEP, self._folder / "config.json")
        if fresh := trials != self._trials:
            found = entries(self._folder, self._data)
            # Without a stamp, since a trial may have gone on while the others were read.
            self._kept = [((), entry) for entry in found]
            states = {entry.name: entry.state for entry in found}
            self._progress = Progress({entry.name: entry.settings for entry in found}, states)
            self._trials = trials
        now = [_of(entry) for _, entry in self._kept]
        changed = [stamp != before for stamp, (before, _) in zip(now, self._kept, strict=True)]
        self._kept = [
            (stamp, entry.again() if new else entry)
            for stamp, new, (_, entry) in zip(now, changed, self._kept, strict=True)
        ]
        return fresh or any(changed)

    def _rendered(self) -> str:
        found = [entry for _, entry in self._kept]
        live = Live(math.ceil(self._pause), self._told(found))
        return page([self._folder], found, self._command, live)

    def _told(self, found: list[Entry]) -> str:
        """How far it is, in a sentence."""
        states = {entry.name: entry.state for entry in found}
        share, left = self._progress.share(states), self._progress.left(states)
        said = f"{100 * share:.0f} % of the work is done"
        if not any(state.status == RUNNING for state in states.values()):
            said += "; nothing is running"
        elif left is not None:
            said += f", at most {duration(left)} are left"
        stamps = (self._trials, *(stamp for stamp, _ in self._kept))
        times = [each[0] for stamp in stamps for each in stamp if each]
        last = time.localtime(max(times) / 1e9)
        return f"{said}. Last change: {time.strftime('%F %T', last)}."


def _of(entry: Entry) -> Stamp:
    """Of all files that tell of a trial."""
    failed = entry.workdir.parent.parent / "failed" / f"{entry.workdir.name}.json"
    # A run that is killed leaves its lock behind as it was.
    now = [*FILES, LOCK] if is_held(entry.workdir) else FILES
    return _stamp(*(entry.workdir / name for name in now), failed)


def _stamp(*paths: Path) -> Stamp:
    found: list[tuple[int, int, int] | None] = []
    for path in paths:
        try:
            about = path.stat()
            found.append((about.st_mtime_ns, about.st_size, about.st_ino))
        except OSError:
            found.append(None)
    return tuple(found)
