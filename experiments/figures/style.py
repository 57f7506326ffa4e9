"""How every figure looks, and how it becomes a file.

Figures are made from matplotlib's objects, without pyplot: a notebook that calls this keeps its
backend and its own figures.
"""

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures.glyphs import make_legible

INK = "#12355b"  # what the figure is about
BAND = "#9dc3e6"  # its quartiles
SEED = "#9aa5b1"  # each seed by itself, behind the others
MARK = "#b03a2e"  # what values are compared with: a target, a baseline, a length
DOTTED = (0, (1, 3))
DASHED = (0, (4, 1.5))
# The first three can be told apart in grey; beyond that, each line's dashes are its own.
COLORS = (INK, "#d5702c", "#a8a8a8", "#2e8b6f", "#8a4f9e", "#5b9bd5", "#c9a227", "#000000")
DASHES = ("-", (0, (6, 2)), (0, (2, 1)), (0, (6, 1, 1, 1)), (0, (4, 1, 1, 1, 1, 1)), (0, (1, 1.2)))
DOTS_PER_INCH = 140


def panels(
    size: tuple[float, float], columns: int = 1, rows: int = 1, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of `size` inches, and its axes row by row.

    Args:
      options: of `Figure.subplots`, such as sharey.
    """
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, **options)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def grid(
    count: int, width: float, height: float, columns: int = 4, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels, each of `width` and `height` inches."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, axes = panels((width * columns, height * rows), columns, rows, **options)
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def ruled(axis: Axes) -> None:
    """Faint lines at the ticks of the vertical axis."""
    axis.grid(axis="y", color="#e6eaee", lw=0.6)


def lines(count: int) -> list[dict[str, Any]]:
    """A colour and dashes for each of so many lines; a colour comes again with other dashes."""
    size = len(COLORS)
    return [
        {"color": COLORS[i % size], "ls": DASHES[(i + i // size) % len(DASHES)]}
        for i in range(count)
    ]


def band(axis: Axes, x: Any, quartiles: Any, *, alpha: float = 0.18, **line: Any) -> None:
    """The median of (low, median, high) as a line, and the space between the others shaded."""
    low, median, high = quartiles
    axis.plot(x, median, **{"lw": 1.8, **line})
    axis.fill_between(x, low, high, color=line["color"], alpha=alpha, lw=0)


def saved(figure: Figure, format: str = "png") -> bytes:
    """The figure as the content of a file; the same figure gives the same bytes."""
    make_legible(figure)
    drawn = io.BytesIO()
    # Only an SVG would hold a date.
    metadata = {"Date": None} if format == "svg" else None
    figure.savefig(drawn, format=format, dpi=DOTS_PER_INCH, metadata=metadata)
    return drawn.getvalue()
