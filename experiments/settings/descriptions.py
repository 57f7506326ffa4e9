"""What a cell or a task is, in words: its docstring, and the fields of its config."""

import inspect

from configs import common
from experiments.datasets.sources import SOURCES
from experiments.settings.options import NEEDED, defaults, settable
from gru_jax import CELLS, TASKS, fields


def described(name: str) -> str:
    """The docstring of a cell, a task or a source of collected examples, and its options.

    Raises:
      FieldError: there is none of that name.
    """
    known = {**CELLS, **TASKS, **SOURCES}
    fields.one_of("--describe", name, known)
    told = (inspect.getdoc(known[name]) or "").split("\n>>> ")[0].rstrip()
    if name in CELLS:
        section, options = f"config.model.{name}", common.options(CELLS[name]).to_dict()
    else:
        allowed = settable(name)
        section = "config.task"
        options = {option: each for option, each in defaults(name).items() if option in allowed}
    lines = [
        f"  --{section}.{option}" + (" must be given" if value is NEEDED else f"={value!r}")
        for option, value in options.items()
    ]
    head = f"{name}: what the options are by default" if lines else f"{name}: it has no options"
    return "\n".join([told, "", head, *lines])
