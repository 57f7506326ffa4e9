"""docs/cells.md: every cell of the library, from its class: equations, source, parameters."""

import inspect
import re
import sys
import textwrap

import numpy as np
from flax import nnx

from gru_jax import CELLS, Cell, parameter_count

TERMS = ("D H", "H^2", "H", "")
SIZES = ((1, 1), (2, 3), (3, 7), (5, 4), (4, 9))


def table() -> str:
    """One row for each cell."""
    lines = [
        "| cell | `config.model.cell` | class | states | gate that keeps | parameters |",
        "|---|---|---|---|---|---|",
    ]
    for name, cell in CELLS.items():
        lines.append(
            f"| {cell.TITLE} | `{name}` | `{cell.__name__}` | {', '.join(cell.STATES)} "
            f"| {cell.KEEPING_GATE or 'none'} | {parameters(cell)} |"
        )
    return "\n".join(lines)


def equations() -> str:
    """For each cell a heading, its equations, where they come from, and its options."""
    return "\n\n".join(map(_section, CELLS.values()))


def parameters(cell: type[Cell]) -> str:
    """The number of parameters as a polynomial in D and H.

    >>> parameters(CELLS["vanilla"])
    'D H + H^2 + H'
    """
    counts = [_count(cell, *sizes) for sizes in SIZES]
    terms = np.array([(d * h, h * h, h, 1) for d, h in SIZES])
    found, _, rank, _ = np.linalg.lstsq(terms, np.array(counts, float))
    assert rank == len(TERMS)
    halves = np.round(2 * found).astype(int)
    assert np.array_equal(terms @ halves, 2 * np.array(counts)), f"{cell.__name__}: no polynomial"
    words = [
        f"{'-' if half < 0 else '+'} {_factor(abs(half), name)}"
        for half, name in zip(halves, TERMS, strict=True)
        if half
    ]
    return " ".join(words).removeprefix("+ ")


def _factor(half: int, name: str) -> str:
    """So many halves of a term."""
    if half % 2:
        return f"{half if half > 1 else ''} {name} / 2".strip()
    return f"{half // 2 if half > 2 or not name else ''} {name}".strip()


def _count(cell: type[Cell], inputs: int, hidden: int) -> int:
    return parameter_count(nnx.eval_shape(lambda: cell(inputs, hidden, rngs=nnx.Rngs(0))))


def _section(cell: type[Cell]) -> str:
    paragraphs = inspect.cleandoc(cell.__doc__ or "").split("\n\n")
    summary = " ".join(paragraphs[0].split())
    shown = next(each for each in paragraphs if each.startswith("    "))
    source = next((each for each in paragraphs if each.startswith("Source: ")), None)
    where = sys.modules[cell.__module__].__doc__ or ""
    told = " ".join((source or f"Source: {where.strip().splitlines()[0]}").split())
    options = ", ".join(f"`{name}`" for name in cell.options()) or "none"
    block = re.sub(r"\s+$", "", textwrap.dedent(shown))
    return (
        f"### {cell.TITLE}\n\n{summary}\n\n```text\n{block}\n```\n\n{told}\n\n"
        f"Options of its own: {options}."
    )
