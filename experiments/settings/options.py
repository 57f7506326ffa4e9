"""The options of a task, or of a source of collected examples: the fields of config.task."""

import dataclasses
import inspect
from typing import Any

from ml_collections import ConfigDict

from configs import common
from experiments.datasets.sources import SOURCES
from gru_jax import TASKS, fields

NEEDED = dataclasses.MISSING  # the default of an option that must be given


def defaults(name: str) -> dict[str, Any]:
    """The options that a task or source declares, in order, with their defaults."""
    if name in SOURCES:
        found = inspect.signature(SOURCES[name]).parameters
        return {
            option: NEEDED if each.default is each.empty else each.default
            for option, each in found.items()
        }
    return {each.name: _default(each) for each in dataclasses.fields(TASKS[name]) if each.init}


def settable(name: Any) -> ConfigDict:
    """The options that a command may set, as a section in which those that must be given are None.

    Raises:
      FieldError: there is no such task or source.
    """
    known = {**TASKS, **SOURCES}
    fields.one_of("config.task.name", name, known)
    unset = {option: None if each is NEEDED else each for option, each in defaults(name).items()}
    return common.typed(known[name], unset)


def _default(field: dataclasses.Field[Any]) -> Any:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()
