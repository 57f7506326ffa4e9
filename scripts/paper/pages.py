"""Shared by the scripts that write documentation: generated parts of a page, and versions."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from experiments.settings import schema
from experiments.system.commandline import Parser, guarded


def collect(description: str | None, measured: Callable[[Path], int]) -> int:
    """Runs a program that turns a folder of measurements, DIR, into committed results."""
    parser = Parser(description)
    parser.add_argument("folder", type=Path, metavar="DIR")
    return guarded(lambda: measured(parser.parse_args().folder))


def fill(text: str, parts: dict[str, str]) -> str:
    """The page, with each part between `<!-- NAME -->` and `<!-- end of NAME -->` replaced."""
    for name, content in parts.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, _, rest = text.partition(start)
        _, found_end, after = rest.partition(end)
        assert found_end, f"the page has lost the markers of its part {name!r}"
        text = f"{before}{start}{content}\n{end}{after}"
    return text


def table(words: Sequence[str], numbers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown: columns of words, then columns of numbers, by their titles."""
    line = lambda cells: f"| {' | '.join(cells)} |"
    rule = f"|{'---|' * len(words)}{'--:|' * len(numbers)}"
    return "\n".join([line([*words, *numbers]), rule, *map(line, rows)])


def earlier(rows: Iterable[dict[str, Any]]) -> str:
    """What to know of runs by earlier code: that it drew other random numbers than today's would,
    and that it kept no test examples apart.
    """
    rows = list(rows)
    oldest = min(map(_schema, rows))
    told = ""
    if changes := schema.changes_since(oldest):
        told += (
            f" These runs are of config schema {oldest}. Since then, {changes}, so the same "
            "commands give other numbers today."
        )
    if any("eval" in (found := row.get("summary", {})) and "test" not in found for row in rows):
        told += (
            " They kept no test examples apart: what is shown was measured on the examples by "
            "which rates were chosen, and at which seeds stopped."
        )
    return told


def _schema(row: dict[str, Any]) -> int:
    """The first schema that has the numbers of this row."""
    schema: int = row.get("schema", 1)  # the first rows did not say it
    # Schema 3 says when a seed has solved its task, which changes nothing where none came so far.
    came_so_far = any(step is not None for step in row.get("summary", {}).get("solved_step", []))
    return 3 if schema == 2 and not came_so_far else schema


def made_on(rows: Sequence[dict[str, Any]]) -> str:
    """The devices, with the versions, on which rows of results were made, as words."""
    told: dict[str, dict[str, None]] = {}
    for row in rows:
        products = f" (products in {row['precision']})" if row.get("precision") else ""
        told.setdefault(made_with(row), {})[f"{row['devices']} x {row['device']}{products}"] = None
    return "; and ".join(f"{', '.join(devices)}; {versions}" for versions, devices in told.items())


def hours(rows: Sequence[dict[str, Any]]) -> str:
    """What rows of results took, as words."""
    spent: dict[str, float] = {}
    for row in rows:
        on_cpu = row["device"] == "cpu"
        unit = "core hours" if on_cpu else f"hours of one {row['device']}"
        cores = row["devices"] if on_cpu else 1
        spent[unit] = spent.get(unit, 0) + cores * row["wall_seconds"] / 3600
    return " and ".join(f"{spent[unit]:.1f} {unit}" for unit in spent)


def made_with(environment: dict[str, Any]) -> str:
    """The versions in environment.json or in a row of results, as words for a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in environment["packages"].items())
    return f"Python {environment['python']}, {versions}"
