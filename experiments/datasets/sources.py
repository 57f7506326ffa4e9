"""Collected examples, read into a task. `SOURCES` maps a config's task.name to its loader.

Every loader makes three splits, "train", "validation" and "test"; where the publisher names two,
validation is the end of the training split.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any

from experiments.datasets.images import digits, mnist1d
from experiments.datasets.music import piano
from experiments.datasets.reading import existing_file
from experiments.datasets.texts import text
from gru_jax import FieldError, Task

SOURCES: dict[str, Callable[..., Task]] = {
    "mnist1d": mnist1d,
    "digits": digits,
    "piano": piano,
    "text": text,
}


@functools.cache
def _loaded(name: str, digest: str | None, options: tuple[tuple[str, Any], ...]) -> Task:
    del digest
    return SOURCES[name](**dict(options))


def load_task(name: str, sha256: str | None = None, **options: Any) -> Task:
    """The task of a source; the same object for the same options and an unchanged file.

    Args:
      sha256: the required digest of the file, in hexadecimal; None accepts any file.

    Raises:
      FieldError: an option is not allowed, or the file has other contents or another format.
    """
    digest = digest_of(options["path"]) if options.get("path") else None
    if sha256 is not None and sha256 != digest:
        allowed = f"{digest!r}, the digest of the file now: the run began with another file"
        raise FieldError("sha256", sha256, allowed)
    return _loaded(name, digest, tuple(sorted(options.items())))


def digest_of(path: str) -> str:
    """The SHA-256 of a file's bytes."""
    return hashlib.sha256(existing_file(path).read_bytes()).hexdigest()
