"""What each kind of cell is called in tables and figures, in which order, and how it is drawn.

A cell that `CELLS` does not have, from results of other code, is called by its name.
"""

import functools
from collections.abc import Iterable
from typing import Any

import jax
from flax import nnx

from experiments.figures.style import COLORS
from gru_jax import CELLS, Cell

MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def title(cell: str) -> str:
    return CELLS.get(cell, Cell).TITLE or cell


def keeping_gate(cell: str) -> str | None:
    """The name of the gate that decides what is kept, if the cell has one."""
    return CELLS.get(cell, Cell).KEEPING_GATE


def place(cell: str) -> int:
    """Its index in `CELLS`; unknown cells come last."""
    return list(CELLS).index(cell) if cell in CELLS else len(CELLS)


def ordered(cells: Iterable[str]) -> list[str]:
    """Each cell once, in the order of `CELLS`."""
    return sorted(dict.fromkeys(cells), key=place)


def simplest() -> str:
    """The cell with the fewest arrays of parameters, which is fast to trace and to compile."""
    return min(CELLS, key=lambda cell: _arrays(CELLS[cell]))


@functools.cache
def _arrays(cell: type[Cell]) -> int:
    made = nnx.eval_shape(lambda: cell(1, 1, rngs=nnx.Rngs(0)))
    return len(jax.tree.leaves(nnx.state(made, nnx.Param)))


def style(cell: str) -> dict[str, Any]:
    """Matplotlib's colour and marker for its lines and points."""
    index = place(cell)
    return {"color": COLORS[index % len(COLORS)], "marker": MARKERS[index % len(MARKERS)]}
