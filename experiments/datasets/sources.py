"""Collected examples, read into a task. `SOURCES` maps a config's task.name to its loader.

Every loader makes three splits, "train", "validation" and "test"; where the publisher names two,
validation is the end of the training split.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from experiments.datasets.characters import characters, plays
from experiments.datasets.cogscale import cogscale
from experiments.datasets.images import digits, mnist1d
from experiments.datasets.music import piano
from experiments.datasets.reading import existing_file
from experiments.datasets.texts import text
from experiments.system.files import at_home
from gru_jax import FieldError, Task

SOURCES: dict[str, Callable[..., Task]] = {
    "mnist1d": mnist1d,
    "digits": digits,
    "piano": piano,
    "text": text,
    "characters": characters,
    "cogscale": cogscale,
}

# What a source reads where no path names a file: bytes that come with a package.
PACKAGED: dict[str, Callable[[], bytes]] = {"characters": plays}

TELL = "--data=PATH says where that file lies now"


@functools.cache
def _loaded(name: str, digest: str | None, options: tuple[tuple[str, Any], ...]) -> Task:
    del digest
    return SOURCES[name](**dict(options))


def load_task(name: str, sha256: str | None = None, **options: Any) -> Task:
    """The task of a source; the same object for the same options and an unchanged file.

    Args:
      sha256: the digest of the data that a run began with, in hexadecimal; None accepts any.

    Raises:
      FieldError: an option is not allowed, or the data have other contents or another format.
    """
    path = options.get("path")
    packaged = not path and name in PACKAGED
    if sha256 is not None and not (packaged or (path and at_home(str(path)).is_file())):
        raise FieldError("path", path, f"a file; {TELL}")
    digest = data_digest(name, path)
    if sha256 is not None and sha256 != digest:
        allowed = f"the file that the run began with, but its SHA-256 is another one; {TELL}"
        if packaged:
            allowed = "a run of the text in the package installed, but its SHA-256 is another one"
        raise FieldError("path", path, allowed)
    return _loaded(name, digest, tuple(sorted(options.items())))


def file_among(files: Sequence[str], sha256: str | None) -> str:
    """Of the files that --data names, the one that a run began with.

    Args:
      sha256: its digest; None where the run has not begun, so that there can be but one file.

    Raises:
      FieldError: it is not among them.
    """
    if sha256 is None and len(files) == 1:
        return files[0]
    for file in files:
        if digest_of(file, "--data") == sha256:
            return file
    allowed = "the file that the run began with, but its SHA-256 is another one"
    raise FieldError("--data", ", ".join(files), allowed if sha256 else "one file")


def data_digest(name: str, path: str | None) -> str | None:
    """The SHA-256 of a source's file, or of what it reads without one; None if it has no digest."""
    if path:
        return digest_of(path)
    return hashlib.sha256(PACKAGED[name]()).hexdigest() if name in PACKAGED else None


def digest_of(path: str, field: str = "path") -> str:
    """The SHA-256 of a file's bytes. `field` is what an error names."""
    return hashlib.sha256(existing_file(path, field).read_bytes()).hexdigest()
