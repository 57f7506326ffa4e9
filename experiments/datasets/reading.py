"""What the readers of collected examples share."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from experiments.system.files import at_home
from gru_jax import FieldError
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION

VALIDATION_SHARE = 10  # one in this many training examples validates, if no split does
Arrays = tuple[np.ndarray, np.ndarray]


def with_validation(train: Arrays, test: Arrays) -> dict[str, Example]:
    """Three splits of sequences (examples, time) and their labels, from two."""
    end = len(train[0]) - len(train[0]) // VALIDATION_SHARE
    parts = {
        TRAIN: (train[0][:end], train[1][:end]),
        VALIDATION: (train[0][end:], train[1][end:]),
        TEST: test,
    }
    return {split: example(values[..., None], labels) for split, (values, labels) in parts.items()}


def example(inputs: Any, labels: Any, lengths: Any = None) -> Example:
    kind = np.int32 if np.issubdtype(inputs.dtype, np.integer) else np.float32
    whole: Any = np.asarray(labels, np.int32)
    return Example(inputs.astype(kind), whole, lengths)


def imported(module: str, package: str, field: str, value: str) -> Any:
    """A module of an optional package.

    Raises:
      FieldError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        allowed = f"left out, or {package} installed: pip install {package} ({error})"
        raise FieldError(field, value, allowed) from None


def existing_file(path: str, field: str = "path") -> Path:
    """
    Raises:
      FieldError: there is no such file.
    """
    file = at_home(str(path))
    if not path or not file.is_file():
        raise FieldError(field, path, "a file")
    return file
