"""How much memory XLA plans for the temporaries of a training step, as a formula."""

from typing import Any

from gru_jax import CELLS, Cell, GRUCell, LSTMCell, VanillaCell
from scripts.benchmark.contenders import Work

# How many arrays with a number for each example and unit XLA plans, by observation. KEPT: stored by
# a batched gradient for each step, and in addition for each segment. WORKING: in use in a segment.
KEPT: dict[type[Cell], tuple[int, int]] = {
    GRUCell: (5, 0),  # both gates, candidate, state, and the state's product in the candidate
    LSTMCell: (6, 0),  # three gates, candidate, both states
    VanillaCell: (1, 1),  # the state, which is also the one before the next step
}
WORKING: dict[str, dict[type[Cell], int]] = {
    "batched": {GRUCell: 9, LSTMCell: 10, VanillaCell: 2},
    "recomputed": {GRUCell: 16, LSTMCell: 16, VanillaCell: 3},
}


def predicted(cell: str, work: Work, taken: dict[str, Any]) -> float:
    """Temporaries of a batched or recomputed gradient in bytes per device; the last state is read.

        4 r (T (k H + D) + w S H) + 12 P

    Here r examples of T steps and D inputs are on the device, with H units, P parameters and
    segments of S steps. w arrays are in use in a segment. k are stored for each step: `KEPT`
    (batched), or states / S, for the states before each segment (recomputed). Inputs count twice
    if T is not a multiple of S.
    """
    path, segment, make = _gradient(taken), taken["segment"], CELLS[cell]
    each, beside = KEPT[make] if path == "batched" else (0, len(make.STATES))
    inputs = work.features * (2 if work.time % segment else 1)
    numbers = work.time * ((each + beside / segment) * work.hidden + inputs)
    numbers += WORKING[path][make] * segment * work.hidden
    weights = sum(array.size for array in work.weights(cell).values())
    return 4 * work.batch // taken["devices"] * numbers + 12 * weights


def _gradient(taken: dict[str, Any]) -> str:
    """The gradient that was used: "auto" batches products over many steps."""
    return "batched" if taken["gradient"] == "auto" else taken["gradient"]


def formula() -> str:
    """The k and w of `predicted`."""
    titles = [cell.TITLE for cell in KEPT]
    lines = [f"| gradient | {' | '.join(titles)} |", f"|---|{'---|' * len(titles)}"]
    for path, working in WORKING.items():
        kept = {c: _kept(c) if path == "batched" else f"{len(c.STATES)} / S" for c in KEPT}
        each = [f"k = {kept[cell]}, w = {working[cell]}" for cell in KEPT]
        lines.append(f"| `{path}` | {' | '.join(each)} |")
    return "\n".join(lines)


def _kept(cell: type[Cell]) -> str:
    each, beside = KEPT[cell]
    return f"{each} + {beside} / S" if beside else str(each)
