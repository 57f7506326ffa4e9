"""What a cell or a task is, in words: its docstring, and the fields of its config."""

import inspect
from pathlib import Path

from configs import common
from experiments.datasets.sources import SOURCES
from experiments.settings.options import NEEDED, defaults, settable
from gru_jax import CELLS, TASKS, fields

ROOT = Path(__file__).parents[2]


def described(name: str) -> str:
    """The docstring of a cell, a task or a source of collected examples, and its options.

    Raises:
      FieldError: there is none of that name.
    """
    known = {**CELLS, **TASKS, **SOURCES}
    fields.one_of("--describe", name, known)
    told = (inspect.getdoc(known[name]) or "").split("\n>>> ")[0].rstrip()
    return "\n".join([told, "", f"{name}: on the command line, with defaults", *_lines(name)])


def _lines(name: str) -> list[str]:
    """The flags that choose it and set its options."""
    if name in CELLS:
        options = common.options(CELLS[name]).to_dict()
        lines = ["--config.model.cell=" + name]
        lines += [f"--config.model.{name}.{option}={value!r}" for option, value in options.items()]
        if "keeping_bias" in CELLS[name].options():
            lines.append("--config.model.keeping_bias=None (the start that the cell has by itself)")
        lines.append("and what all cells share: see configs/common.py")
    else:
        file, allowed = f"configs/{name}.py", settable(name)
        lines = [f"--config={file}" if (ROOT / file).exists() else f"--config.task.name={name}"]
        lines += [
            f"--config.task.{option}" + (" must be given" if value is NEEDED else f"={value!r}")
            for option, value in defaults(name).items()
            if option in allowed
        ]
    return [f"  {line}" for line in lines]
