"""One writer per folder: WORKDIR/lock.json names the process that holds it."""

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from experiments.system.files import RunError

LOCK = "lock.json"


class InUseError(RunError):
    """A process of this host holds the folder."""


class LostError(OSError):
    """The folder has vanished or was taken over during the run."""


@contextlib.contextmanager
def held(workdir: Path, force: bool = False) -> Iterator[Callable[[], None]]:
    """Holds an existing folder; yields a function that raises LostError once it is lost.

    The kernel's lock on the file ends with its process, so a dead holder on the same host is
    recognised reliably. Whether one on another host is alive, only a person can know: `force`
    takes over from it. If it is alive after all, it stops at its next chunk.

    Raises:
      InUseError: another process of this host holds the folder.
      RunError: one of another host does, or did when it was killed.
    """
    path = workdir / LOCK
    file = _take_over(path) if force and _elsewhere(_holder(path)) else _take(path)
    with file:

        def check() -> None:
            if not _same_file(file, path):
                now = _holder(path)
                taken = f"taken over by {_name(now)}" if now else "deleted"
                raise LostError(f"{workdir} was {taken}: this run stops")

        try:
            yield check
        finally:
            if _same_file(file, path):
                path.unlink()


def is_held(workdir: Path) -> bool:
    """Whether a process holds the folder, as far as can be seen from here without taking it.

    One on another host counts, since it may be alive. One of this host that was killed does not.
    """
    path = workdir / LOCK
    if not path.exists():
        return False
    holder = _holder(path)  # nothing yet, if it is about to write its name
    return not holder or _elsewhere(holder) or _alive(holder.get("pid"))


def _take(path: Path) -> Any:
    while True:
        # Never follows a link, which in a stranger's folder may point anywhere.
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "r+")
        holder = _holder(path)
        if _elsewhere(holder):
            file.close()
            raise RunError(
                f"{path.parent} is in use by {_name(holder)}: --force takes over if it is gone"
            )
        if not _locked(file, holder):
            file.close()
            time.sleep(0.2)  # it may be about to write its name
            raise InUseError(f"{path.parent} is in use by {_name(_holder(path))}: stop it first")
        if _same_file(file, path):  # else its holder removed it while we opened it
            if holder:
                print(f"{path.parent} was held by {_name(holder)}, which is gone", file=sys.stderr)
            file.truncate(0)
            return _signed(file)
        file.close()


def _take_over(path: Path) -> Any:
    """Replaces the holder's file by a new one, which the holder notices."""
    fresh = path.with_name(f"{LOCK}.{os.getpid()}.partial")
    fresh.unlink(missing_ok=True)
    file = _signed(fresh.open("x+"))
    _locked(file, {})
    fresh.replace(path)
    return file


def _signed(file: Any) -> Any:
    me = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.strftime("%F %T")}
    file.write(json.dumps(me))
    file.flush()
    return file


def _locked(file: Any, holder: dict[str, Any]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, as on some clusters: look for the process
        return not (holder and _alive(holder.get("pid")))
    return True


def _alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, TypeError, OverflowError):
        return False
    except PermissionError:
        pass  # it belongs to another user
    return True


def _holder(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return {}


def _elsewhere(holder: dict[str, Any]) -> bool:
    return bool(holder) and holder.get("host") != socket.gethostname()


def _name(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process"
    # As repr, since anyone may have written the file.
    return f"process {holder.get('pid')!r} on {holder.get('host')!r}"


def _same_file(file: Any, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
