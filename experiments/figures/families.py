"""What each kind of cell is called in tables and figures, in which order, and how it is drawn.

A cell that `CELLS` does not have, in results of other code, goes by its name.
"""

from collections.abc import Iterable
from typing import Any

from experiments.figures.style import COLORS
from gru_jax import CELLS, Cell

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def title(cell: str) -> str:
    return CELLS.get(cell, Cell).TITLE or cell


def keeping_gate(cell: str) -> str | None:
    """Its name among the cell's activations; None where no gate decides what is kept."""
    return CELLS.get(cell, Cell).KEEPING_GATE


def place(cell: str) -> int:
    """In the order of `CELLS`; the others after these."""
    return list(CELLS).index(cell) if cell in CELLS else len(CELLS)


def ordered(cells: Iterable[str]) -> list[str]:
    """Each once, in the order of `CELLS`."""
    return sorted(dict.fromkeys(cells), key=place)


def simplest() -> str:
    """The one with the fewest options, which is the quickest to trace and to compile."""
    return min(CELLS, key=lambda cell: len(CELLS[cell].options()))


def style(cell: str) -> dict[str, Any]:
    """Matplotlib's colour and marker of its lines and points."""
    index = place(cell)
    return {"color": COLORS[index % len(COLORS)], "marker": MARKERS[index % len(MARKERS)]}
