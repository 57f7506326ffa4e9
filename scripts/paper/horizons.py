"""Does the horizon at initialisation predict how soon is learned? Results, table and figure.

python -m scripts.paper.horizons DIR    DIR/gradients.json -> results/horizons.json
"""

import dataclasses
import functools
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from experiments.figures import style
from experiments.system.files import write_bytes
from scripts.paper import aggregates, gradients, pages, reach, results
from scripts.paths import FIGURES, ROOT

MEASURED = ROOT / "results" / "horizons.json"
KEPT = ("cell", "seeds", "inputs", "units", "lags", "horizon", "seconds", "commit", "schema")
RESAMPLES = 2000  # of the bootstrap
Problem = tuple[str, int]


@dataclasses.dataclass(frozen=True)
class Point:
    """A cell and its start on one problem: how far it carries the loss gradient before training,
    and how soon it learned.

    horizon: median over seeds and examples, in steps.
    learned: the share of the budget that was not used, mean over the seeds; 0 where it is not
      learned, or was not tried since it had not been learned at a shorter length.
    """

    variant: str
    problem: Problem
    horizon: float
    learned: float


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
    """Every cell and start on every problem of which the horizon was measured."""
    order = aggregates.problems(reach.SWEEP)
    spared = {name: aggregates.spared(reach.SWEEP, name) for name in results.variants(reach.SWEEP)}
    found = []
    for trial, measured in load()["initial"].items():
        task, length, variant, _ = trial.split("-")
        problem = task.replace("_", "-"), int(length.removeprefix("T"))
        learned = float(np.mean(spared[variant][order.index(problem)]))
        found.append(Point(variant, problem, measured["horizon"][1], learned))
    return sorted(found, key=lambda point: point.problem)


def correlation(some: list[Point]) -> float:
    """Spearman's, of horizon and what was learned; NaN if one is constant."""
    columns = [point.horizon for point in some], [point.learned for point in some]
    if any(len({*column}) < 2 for column in columns):  # a constant has no ranks
        return math.nan
    ranks = [scipy.stats.rankdata(column) for column in columns]
    return float(np.corrcoef(*ranks)[0, 1])  # spearmanr takes ten times as long, in 16,000 calls


def within(some: list[Point]) -> float:
    """The mean of the correlations on each problem, so that the problem itself explains nothing."""
    found = [correlation([p for p in some if p.problem == each]) for each in problems(some)]
    known = [value for value in found if np.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def problems(some: list[Point]) -> list[Problem]:
    return list(dict.fromkeys(point.problem for point in some))


def interval(statistic: Any, some: list[Point]) -> tuple[float, float]:
    """95 %, by bootstrap over the cells: several problems of one cell are not independent."""
    variants = sorted({point.variant for point in some})
    of = {name: [point for point in some if point.variant == name] for name in variants}
    generator = np.random.default_rng(0)
    found = [
        statistic([p for name in generator.choice(variants, len(variants)) for p in of[name]])
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def table() -> str:
    """The rank correlation on each problem, and over all of them."""
    everything = points()
    questions: dict[str, tuple[Any, list[Point]]] = {
        f"{task}, T = {length:,}": (
            correlation,
            [p for p in everything if p.problem == (task, length)],
        )
        for task, length in problems(everything)
    }
    questions["mean over these"] = within, everything
    lines = [
        "| problem | cells and starts | Spearman's rank correlation of horizon and updates spared "
        "(95 % interval) |",
        "|---|--:|--:|",
    ]
    for name, (statistic, some) in questions.items():
        low, high = interval(statistic, some)
        lines.append(f"| {name} | {len(some)} | {statistic(some):.2f} ({low:.2f}..{high:.2f}) |")
    lines += [
        "",
        "Updates spared: the share of the budget of 3,000 that a seed has not used when it has "
        "solved the task, 0 where it has not; mean over the seeds. Trained: [reach.md](reach.md). "
        f"Horizons: {gradients.provenance(load(), 'initial')}"
        f"{pages.earlier(load()['initial'].values())}",
    ]
    return "\n".join(lines)


def scatter() -> Figure:
    """A panel for each problem, a mark for each cell and start: its horizon, and how soon."""
    everything = points()
    told, marks = results.variants(reach.SWEEP), _marks()
    shown = problems(everything)
    least = max(1, min(point.horizon for point in everything))  # where a horizon of 0 is drawn
    figure, axes = style.panels((12, 3.3), len(shown), sharey=True)
    for axis, problem in zip(axes, shown, strict=True):
        for point in (each for each in everything if each.problem == problem):
            axis.plot(max(point.horizon, least), point.learned, alpha=0.85, **marks[point.variant])
        axis.axvline(problem[1], color=style.MARK, lw=0.8, ls=style.DOTTED)
        axis.set(xscale="log", xlim=(0.7 * least, 1.5 * problem[1]), ylim=(-0.05, 1.02))
        ticks = (10, problem[1])
        axis.set_xticks(ticks, [f"{each:,}" for each in ticks])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{problem[0]}, T = {problem[1]:,}", loc="left", fontsize=10)
    axes[0].set_ylabel("updates spared")
    figure.supxlabel("horizon at initialisation (steps)", fontsize=10)
    handles = [Line2D([], [], label=title, **marks[name]) for name, title in told.items()]
    figure.legend(handles=handles, loc="outside right upper", frameon=False, fontsize=8)
    return figure


def _marks() -> dict[str, dict[str, Any]]:
    """A colour for each cell, and a mark for each start or form."""
    told, looks = results.variants(reach.SWEEP), results.looks(reach.SWEEP)
    form = {variant: title.partition(", ")[2] for variant, title in told.items()}
    marks = dict(zip(dict.fromkeys(["", *form.values()]), "oDs^vPX*", strict=False))
    return {
        variant: {
            "color": looks[variant]["color"],
            "marker": marks[form[variant]],
            "ls": "",
            "ms": 7,
        }
        for variant in told
    }


def draw() -> None:
    """The figure of docs/gradients.md."""
    write_bytes(FIGURES / "horizons.png", style.saved(scatter()))


if __name__ == "__main__":
    sys.exit(main())
