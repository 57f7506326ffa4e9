"""Polyphonic music as piano rolls."""

import io
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import scipy

from experiments.datasets.reading import existing_file
from gru_jax import FieldError, Task, fields
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from gru_jax.tasks.next_step import PianoRolls

NOTES = 88
LOWEST = 21  # the MIDI number of a piano's lowest note
NAMES = {TRAIN: "traindata", VALIDATION: "validdata", TEST: "testdata"}
PICKLES = (".pickle", ".pkl", ".p")


def piano(path: str = "", window: int = 0) -> Task:
    """Polyphonic music from a file with traindata, validdata and testdata.

    Each is a list of pieces (time, 88) of 0 and 1 (Boulanger-Lewandowski et al. 2012). They may
    also be called train, valid and test. The file is one of these:

      .mat: cells of pieces, also sparse ones, or an array (pieces, time, 88).
      .npz: an array (pieces, time, 88), or for every piece an array traindata_0, traindata_1, ...
      .json: lists; a step may also list the MIDI numbers of its notes, 21 to 108 (-1 for none).

    Args:
      path: the file.
      window: consecutive steps of a piece in a training example, at a random place in it; 0 for
        whole pieces. With `train.carry_state`, windows follow each other.
    """
    found = _named(path, _content(path))
    longest = 0
    for name, rolls in found.values():
        if not rolls:
            raise FieldError("path", path, f"a file with pieces in {name}")
        for number, roll in enumerate(rolls):
            where = f"{name}[{number}]"
            if np.ndim(roll) != 2 or np.shape(roll)[1] != NOTES or len(roll) < 2:
                shape = np.shape(roll)
                raise FieldError("path", path, f"pieces (time, {NOTES}): {where} is {shape}")
            if not np.isin(roll, (0, 1)).all():
                raise FieldError("path", path, f"notes of 0 and 1: {where} has others")
            longest = max(longest, len(roll))
    splits = {split: _rolls(rolls, longest) for split, (_, rolls) in found.items()}
    return PianoRolls(longest - 1, splits, window=window)


def _content(path: str) -> dict[str, Any]:
    """What a file holds by name, whatever its kind."""
    file = existing_file(path)
    data = file.read_bytes()
    if file.suffix.lower() in PICKLES or data.startswith(b"\x80"):
        raise FieldError("path", path, "a .mat, .npz or .json file: reading a pickle runs its code")
    try:
        if data.startswith(b"PK"):
            with np.load(io.BytesIO(data)) as arrays:
                return dict(arrays)
        if data.lstrip().startswith(b"{"):
            return dict(json.loads(data))
        return dict(scipy.io.loadmat(io.BytesIO(data)))
    except Exception as error:  # readers raise many things for other kinds of files
        allowed = f"a .mat, .npz or .json file ({type(error).__name__}: {error})"
        raise FieldError("path", path, allowed) from None


def _named(path: str, content: dict[str, Any]) -> dict[str, tuple[str, list[Any]]]:
    """The pieces of every split, and what the file calls it.

    Raises:
      FieldError: a split is missing, or a step has other notes than a piano.
    """
    found = {}
    for split, usual in NAMES.items():
        for name in (usual, usual.removesuffix("data")):
            numbered = itertools.takewhile(content.__contains__, _numbered(name))
            pieces = _pieces(content[name]) if name in content else [content[n] for n in numbered]
            later = re.compile(rf"{name}_\d+")
            if name not in content and len(pieces) < sum(map(bool, map(later.fullmatch, content))):
                missing = f"{name}_{len(pieces)}"
                raise FieldError("path", path, f"pieces that are numbered from 0: no {missing!r}")
            if name in content or pieces:
                rolls = [_roll(path, f"{name}[{i}]", piece) for i, piece in enumerate(pieces)]
                found[split] = name, rolls
                break
        else:
            raise FieldError("path", path, f"a file with {', '.join(NAMES.values())}: no {usual!r}")
    return found


def _numbered(name: str) -> Iterator[str]:
    return (f"{name}_{number}" for number in itertools.count())


def _pieces(values: Any) -> list[Any]:
    """The pieces of a cell, of a list, or of an array that holds them all."""
    if isinstance(values, list):
        return values
    if np.ndim(values) != 3:
        return list(np.reshape(values, -1))
    if values.dtype == object:  # a cell for every number
        values = np.array([np.squeeze(each)[()] for each in values.flat]).reshape(values.shape)
    return list(values)


def _roll(path: str, where: str, piece: Any) -> np.ndarray:
    """A piece as an array (time, notes), which is yet to be checked."""
    if scipy.sparse.issparse(piece):
        return piece.toarray()
    if not isinstance(piece, list):
        return np.asarray(piece)
    roll = np.zeros((len(piece), NOTES))
    for row, step in zip(roll, piece, strict=True):
        if isinstance(step, list) and len(step) == NOTES and all(each in (0, 1) for each in step):
            row[:] = step
            continue
        for note in step if isinstance(step, list) else [step]:
            if note != -1 and note not in range(LOWEST, LOWEST + NOTES):
                span = f"{LOWEST}..{LOWEST + NOTES - 1}"
                raise FieldError("path", path, f"notes in {span}: {where} has {fields.short(note)}")
            if note != -1:
                row[int(note) - LOWEST] = 1
    return roll


def _rolls(pieces: Sequence[np.ndarray], longest: int) -> Example:
    padded: Any = np.zeros((len(pieces), longest, NOTES), np.uint8)
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    lengths: Any = np.array([len(piece) - 1 for piece in pieces], np.int32)
    inside = np.arange(longest - 1) < lengths[:, None]
    return Example(padded[:, :-1] * inside[..., None], padded[:, 1:], lengths)
