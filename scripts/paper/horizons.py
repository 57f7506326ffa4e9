"""Does the horizon at initialisation predict what will be learned? Results, table and figure.

python -m scripts.paper.horizons DIR    DIR/gradients.json -> results/horizons.json
"""

import dataclasses
import functools
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.lines import Line2D
from scipy import stats

from experiments.figures import families, style
from experiments.system.files import write_bytes
from scripts.paper import gradients, pages, results
from scripts.paths import FIGURES, ROOT

MEASURED = ROOT / "results" / "horizons.json"
KEPT = ("cell", "seeds", "inputs", "units", "lags", "horizon", "seconds", "commit", "schema")
RESAMPLES = 2000  # of the bootstrap


@dataclasses.dataclass(frozen=True)
class Point:
    """A configuration: how far it carries the loss gradient before training, and what it learned.

    start: the cell and its start, without the length.
    horizon: median over seeds and examples, in steps.
    learned: the share of seeds that reached the target.
    """

    start: str
    cell: str
    length: int
    horizon: float
    learned: float

    @property
    def share(self) -> float:
        """The horizon as a share of T."""
        return self.horizon / self.length


def main() -> int:
    return pages.collect(__doc__, collect)


def collect(folder: Path) -> int:
    """Copies the measurements of experiments.gradients that are used here."""
    found = gradients.read(folder)
    found["initial"] = {
        name: {key: measured[key] for key in KEPT} for name, measured in found["initial"].items()
    }
    gradients.write(MEASURED, found)
    return 0


@functools.cache
def load() -> dict[str, Any]:
    return json.loads(MEASURED.read_text())


def points() -> list[Point]:
    """All configurations. A trial's name is Tlength-start."""
    measured = load()["initial"]
    return [
        Point(
            each.row["trial"].partition("-")[2],
            each.row["cell"],
            each.row["length"],
            measured[each.row["trial"]]["horizon"][1],
            each.outcomes.solved / each.outcomes.seeds,
        )
        for each in results.load("horizon")
    ]


def correlation(some: list[Point]) -> float:
    """Spearman's, of horizon / T and the share of seeds that learned; NaN if one is constant."""
    columns = [point.share for point in some], [point.learned for point in some]
    if any(len({*column}) < 2 for column in columns):  # a constant has no ranks
        return float("nan")
    return float(stats.spearmanr(*columns).statistic)


def within(some: list[Point]) -> float:
    """The mean of the correlations at each T, so that T itself explains nothing."""
    lengths = sorted({point.length for point in some})
    found = [correlation([p for p in some if p.length == length]) for length in lengths]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def interval(statistic: Any, some: list[Point]) -> tuple[float, float]:
    """95 %, by bootstrap over the starts: five lengths of one start are not independent."""
    starts = sorted({point.start for point in some})
    by_start = {start: [p for p in some if p.start == start] for start in starts}
    generator = np.random.default_rng(0)
    found = [
        statistic(
            [point for start in generator.choice(starts, len(starts)) for point in by_start[start]]
        )
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def table() -> str:
    """The rank correlation over all configurations, at equal T, and for each kind of cell."""
    everything = points()
    questions: dict[str, tuple[Any, list[Point]]] = {
        "all": (correlation, everything),
        "all, at equal T": (within, everything),
        **{
            f"{families.title(cell)} only": (correlation, [p for p in everything if p.cell == cell])
            for cell in dict.fromkeys(point.cell for point in everything)
        },
    }
    lines = [
        "| configurations | number | Spearman's rank correlation of horizon / T with the share of "
        "seeds that learned (95 % interval) |",
        "|---|--:|--:|",
    ]
    for name, (statistic, some) in questions.items():
        if len({point.learned for point in some}) < 2:
            told = "none: every seed learned"
        else:
            low, high = interval(statistic, some)
            told = f"{statistic(some):.2f} ({low:.2f}..{high:.2f})"
        lines.append(f"| {name} | {len(some)} | {told} |")
    rows = [each.row for each in results.load("horizon")]
    hours = sum(row["wall_seconds"] for row in rows) / 3600
    commits = sorted({row["commit"][:8] for row in rows})
    lines += [
        "",
        f"Learned: the evaluation loss fell to a tenth of the input-blind one within "
        f"{rows[0]['budget']:,} steps; {rows[0]['seeds']} seeds. Trained by `python -m "
        f"experiments.sweep --config=configs/sweeps/horizon.py` at commit {', '.join(commits)}, at "
        f"most {hours:.1f} hours of one core. Horizons: {gradients.provenance(load(), 'initial')}"
        f"{pages.earlier([*rows, *load()['initial'].values()])}",
    ]
    return "\n".join(lines)


def scatter() -> bytes:
    """One point per configuration: its horizon at initialisation, and how many seeds learned."""
    everything = points()
    lengths = sorted({point.length for point in everything})
    cells = families.ordered(point.cell for point in everything)
    figure, axes = style.panels((11, 2.9), len(lengths), sharex=True, sharey=True)
    for axis, length in zip(axes, lengths, strict=True):
        for place, cell in enumerate(cells):
            here = Counter(
                (p.horizon, p.learned) for p in everything if (p.cell, p.length) == (cell, length)
            )
            # Kinds of cell stand side by side; a mark is larger the more points coincide.
            x = [horizon * 1.1 ** (place - (len(cells) - 1) / 2) for horizon, _ in here]
            y = [learned for _, learned in here]
            sizes = [45 * count for count in here.values()]
            look: dict[str, Any] = {"alpha": 0.8, "lw": 0, "clip_on": False}
            axis.scatter(x, y, sizes, **families.style(cell), **look)
        axis.axvline(length, color=style.MARK, lw=0.8, ls=style.DOTTED)
        axis.set(xscale="log", xlim=(3, 600), ylim=(-0.05, 1.05))
        axis.set_xticks([10, 100], ["10", "100"])
        axis.set_title(f"T = {length}", loc="left", fontsize=10)
    axes[0].set_ylabel("share of seeds that learned")
    figure.supxlabel("horizon at initialisation (steps)", fontsize=10)
    handles = [
        Line2D([], [], ls="", ms=7, label=families.title(cell), **families.style(cell))
        for cell in cells
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=3, frameon=False, fontsize=9)
    return style.saved(figure)


def draw() -> None:
    """The figure of docs/gradients.md."""
    write_bytes(FIGURES / "horizons.png", scatter())


if __name__ == "__main__":
    sys.exit(main())
