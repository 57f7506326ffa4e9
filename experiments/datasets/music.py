"""Polyphonic music as piano rolls."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.io

from experiments.datasets.reading import existing_file
from gru_jax import FieldError, Task
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION, PianoRolls

NOTES = 88


def piano(path: str = "", window: int = 0) -> Task:
    """Polyphonic music from a .mat file with traindata, validdata and testdata.

    Each is a list of pieces (time, 88) of 0 and 1 (Boulanger-Lewandowski et al. 2012).
    """
    names = {TRAIN: "traindata", VALIDATION: "validdata", TEST: "testdata"}
    found = existing_file(path)
    try:
        file = scipy.io.loadmat(found)
        pieces = {split: list(file[name].reshape(-1)) for split, name in names.items()}
    except KeyError as error:
        raise FieldError(
            "path", path, f"a file with {', '.join(names.values())}: no {error}"
        ) from None
    except OSError:
        raise
    except Exception as error:  # scipy raises many things for other kinds of files
        raise FieldError("path", path, f"a .mat file ({type(error).__name__}: {error})") from None
    longest = 0
    for split, rolls in pieces.items():
        if not rolls:
            raise FieldError("path", path, f"a file with pieces in {names[split]}")
        for number, roll in enumerate(rolls):
            where = f"{names[split]}[{number}]"
            if np.ndim(roll) != 2 or np.shape(roll)[1] != NOTES or len(roll) < 2:
                shape = np.shape(roll)
                raise FieldError("path", path, f"pieces (time, {NOTES}): {where} is {shape}")
            if not np.isin(roll, (0, 1)).all():
                raise FieldError("path", path, f"notes of 0 and 1: {where} has others")
            longest = max(longest, len(roll))
    splits = {split: _rolls(rolls, longest) for split, rolls in pieces.items()}
    return PianoRolls(longest - 1, splits, window=window)


def _rolls(pieces: Sequence[np.ndarray], longest: int) -> Example:
    padded: Any = np.zeros((len(pieces), longest, NOTES), np.uint8)
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    lengths: Any = np.array([len(piece) - 1 for piece in pieces], np.int32)
    inside = np.arange(longest - 1) < lengths[:, None]
    return Example(padded[:, :-1] * inside[..., None], padded[:, 1:], lengths)
