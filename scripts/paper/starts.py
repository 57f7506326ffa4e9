"""How a cell starts, in words, from the name of a trial or a variant."""

from typing import Any

from experiments.figures import families, style

WORDS = {
    "bias0": "{gate} bias 0",
    "bias1": "{gate} bias 1",
    "chrono": "chrono",
    "refined": "refined {gate} gate",
    "identity": "ReLU, identity",
    "two": "two layers",
    "both": "both ways",
    "gated": "gated",
    "open": "{gate} bias 0, no reset gate",
    "before": "{gate} bias 0, reset before the product",
    "tanh-0.5": "tanh, 0.5 x orthogonal",
    "tanh-1": "tanh, orthogonal",
    "tanh-1.5": "tanh, 1.5 x orthogonal",
    "relu-0.5": "ReLU, 0.5 x orthogonal",
    "relu-1": "ReLU, orthogonal",
    "relu-1.5": "ReLU, 1.5 x orthogonal",
}


# In figures each cell has a colour of its own, and each start of a cell its dashes.
DASHES = {
    "chrono": (0, (5, 1.5)),
    "bias1": (0, (2, 1)),
    "refined": style.DOTTED,
    "identity": style.DASHED,
}


def start(cell: str, name: str) -> str:
    """The start: "chrono" for "gru_chrono" or "gru-chrono"; empty if the name is the cell's."""
    return "" if name == cell else name.removeprefix(f"{cell}-").removeprefix(f"{cell}_")


def words(cell: str, name: str) -> str:
    """The start in words; as it stands in the name if there are no words for it."""
    given = start(cell, name)
    return WORDS.get(given, given).format(gate=families.keeping_gate(cell) or "keeping")


def title(cell: str, name: str) -> str:
    """The cell and its start."""
    return ", ".join(filter(None, (families.title(cell), words(cell, name))))


def ordered(cells: dict[str, str]) -> list[str]:
    """Variants in the order of their cells; the one with the cell's own name comes first."""
    return sorted(cells, key=lambda name: (families.place(cells[name]), name != cells[name]))


def looks(cells: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each variant, from the cells of all."""
    colors = dict(zip(families.ordered(cells.values()), style.COLORS, strict=False))
    return {
        variant: {"color": colors[cell], "ls": DASHES.get(start(cell, variant), "-")}
        for variant, cell in cells.items()
    }
