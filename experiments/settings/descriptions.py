"""What a cell or a task is, in words: its docstring, and the fields of its config."""

import dataclasses
import inspect
from typing import Any

from configs import common
from experiments.datasets.sources import SOURCES
from gru_jax import CELLS, TASKS, fields


def described(name: str) -> str:
    """The docstring of a cell, a task or a source of collected examples, and its options.

    Raises:
      FieldError: there is none of that name.
    """
    known = {**CELLS, **TASKS, **SOURCES}
    fields.one_of("--describe", name, known)
    told = inspect.cleandoc(known[name].__doc__ or "").split("\n>>> ")[0].rstrip()
    section = f"config.model.{name}" if name in CELLS else "config.task"
    options = _options(name)
    lines = [f"  --{section}.{option}={value!r}" for option, value in options.items()]
    head = f"{name}: what the options are by default" if lines else f"{name}: it has no options"
    return "\n".join([told, "", head, *lines])


def _options(name: str) -> dict[str, Any]:
    if name in CELLS:
        return common.options(CELLS[name]).to_dict()
    if name in TASKS:
        found = [each for each in dataclasses.fields(TASKS[name]) if each.init]
        return {each.name: each.default for each in found}
    return {key: each.default for key, each in inspect.signature(SOURCES[name]).parameters.items()}
