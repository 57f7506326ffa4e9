"""The page of all settings: the fields of configs/common.py, with its comments."""

import inspect
import re

from configs import common
from gru_jax import CELLS

SECTION = re.compile(r"    (\w+)\.(\w+) = (?:(\w+) = )?Section\(\).*")
FIELD = re.compile(r"    (\w+)\.(\w+) = (.+?)  # (.+)")
HEAD = """# Settings

Every field of a run's config, with its default. The files of `configs/` set some of them for their
tasks; on the command line it is `--config.FIELD=VALUE`, and `--config.FIELD=None` unsets a field.
The fields of `config.task` are those of the [task](tasks.md), and
`python -m experiments.train --describe=NAME` explains those of a task or a cell.
"""


def page() -> str:
    """The page: a table for each section of the config, and one of the cells' options."""
    sections = {"config": "config"}  # a name in the code, and what it is a name of
    rows: dict[str, list[str]] = {}
    for line in inspect.getsource(common.get_config).splitlines():
        if found := SECTION.fullmatch(line):
            outer, name, local = found.groups()
            sections[local or name] = f"{sections[outer]}.{name}"
        elif found := FIELD.fullmatch(line):
            section, name, default, told = found.groups()
            field = f"{sections[section]}.{name}"
            default = "not set" if default.startswith("placeholder") else f"`{default}`"
            told = told.replace("|", r"\|")
            rows.setdefault(sections[section], []).append(f"| `{field}` | {default} | {told} |")
    parts = [HEAD]
    for section, lines in rows.items():
        parts += [
            f"## {section}\n",
            "| field | default | what it is |",
            "|---|---|---|",
            *lines,
            "",
        ]
    parts += ["## The options of cells\n", _cells()]
    return "\n".join(parts)


def _cells() -> str:
    lines = [
        "`config.model.NAME` has them; [cells](cells.md) has the equations.\n",
        "| cell | `NAME` | options and their defaults |",
        "|---|---|---|",
    ]
    for name, cell in CELLS.items():
        options = [f"`{option}={value!r}`" for option, value in common.options(cell).items()]
        lines.append(f"| {cell.TITLE} | `{name}` | {', '.join(options)} |")
    return "\n".join([*lines, ""])
