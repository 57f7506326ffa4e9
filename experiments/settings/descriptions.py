"""What a cell or a task is, in words: its docstring, and the fields of its config."""

import dataclasses
import inspect
from typing import Any

from configs import common
from experiments.datasets.sources import SOURCES
from gru_jax import CELLS, TASKS, fields

NEEDED = dataclasses.MISSING  # what has no default


def described(name: str) -> str:
    """The docstring of a cell, a task or a source of collected examples, and its options.

    Raises:
      FieldError: there is none of that name.
    """
    known = {**CELLS, **TASKS, **SOURCES}
    fields.one_of("--describe", name, known)
    told = (inspect.getdoc(known[name]) or "").split("\n>>> ")[0].rstrip()
    section = f"config.model.{name}" if name in CELLS else "config.task"
    options = _options(name)
    lines = [
        f"  --{section}.{option}" + (" must be given" if value is NEEDED else f"={value!r}")
        for option, value in options.items()
    ]
    head = f"{name}: what the options are by default" if lines else f"{name}: it has no options"
    return "\n".join([told, "", head, *lines])


def _options(name: str) -> dict[str, Any]:
    if name in CELLS:
        return common.options(CELLS[name]).to_dict()
    if name in TASKS:
        found = [each for each in dataclasses.fields(TASKS[name]) if each.init]
        return {each.name: _default(each) for each in found}
    return {key: each.default for key, each in inspect.signature(SOURCES[name]).parameters.items()}


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()
