"""Files that are complete or absent, whenever the program is killed."""

import contextlib
import json
import math
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTIAL = ".partial"  # the suffix of a file that is not complete yet


class RunError(Exception):
    """A run's folder cannot be used as asked. Its text is one line."""


def at_home(path: str | os.PathLike[str]) -> Path:
    """The path with "~" or "~user" at its beginning written out; an unknown user stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (Path's own raises for an unknown user)


def check_plain(folder: Path, but: str = "") -> None:
    """Raises RunError if a folder holds anything but files and folders, such as a link or a pipe.

    Args:
      but: the name of a subfolder that may hold anything.
    """
    for where, folders, files in os.walk(folder):
        for path in (Path(where, name) for name in (*folders, *files)):
            with contextlib.suppress(FileNotFoundError):  # a running worker replaces its files
                mode = path.lstat().st_mode
                if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                    raise RunError(f"{path} is neither a file nor a folder")
        if Path(where) == folder:
            folders[:] = [name for name in folders if name != but]


def make_folder(folder: Path) -> None:
    """Makes the folder that --workdir names, if it is missing.

    Raises:
      RunError: it cannot be made, such as within a file.
    """
    if folder.is_dir():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        synchronise(folder.parent)
    except OSError as error:
        raise RunError(f"--workdir={folder} cannot be made: {error.strerror}") from None


def check_own(folder: Path, ours: Callable[[str], bool], otherwise: str) -> None:
    """Raises RunError if a folder holds anything that is not ours: somebody else's must not change.

    Args:
      ours: whether a file or folder of this name belongs there. What a kill has left may.
      otherwise: what the folder then is not, such as "no run".
    """
    for path in sorted(folder.iterdir()):
        if not ours(path.name) and path.suffix != PARTIAL:
            raise RunError(f"{folder} holds {path.name!r}, but {otherwise}")


def read_json(path: Path, otherwise: str) -> dict[str, Any]:
    """The object that a file holds.

    Raises:
      RunError: the file is missing (`otherwise` says what that means) or damaged.
    """
    try:
        return _object(path)
    except OSError as error:
        raise RunError(f"{otherwise} ({path.name}: {error.strerror})") from None


def read_json_if_any(path: Path) -> dict[str, Any] | None:
    """The object that a file holds; None where there is no such file, or not any more.

    Raises:
      RunError: the file is damaged, or must not be read.
    """
    try:
        return _object(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from None


def _object(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_bytes()))
    except (ValueError, TypeError, RecursionError):
        raise RunError(f"{path} is not valid JSON") from None


def write_json(path: Path, content: Any) -> None:
    """Writes the whole file or nothing."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def finite(content: Any) -> Any:
    """Lists and objects without what JSON has no number for: null where one is not finite."""
    if isinstance(content, dict):
        return {name: finite(value) for name, value in content.items()}
    if isinstance(content, list):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def write_text(path: Path, text: str) -> None:
    """Writes the whole file or nothing. What is no character, as in odd file names, is escaped."""
    write_bytes(path, text.encode(errors="backslashreplace"))


def write_bytes(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing."""
    partial = path.with_name(path.name + PARTIAL)
    partial.unlink(missing_ok=True)
    with partial.open("xb") as file:  # x: never follows a link
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    synchronise(path.parent)


def synchronise(folder: Path) -> None:
    """Flushes a folder's names to the disk, so that they survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
