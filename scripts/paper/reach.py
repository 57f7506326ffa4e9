"""What docs/reach.md shows of the sweep reach: how far back each cell learns to look."""

from typing import Any

import numpy as np
from matplotlib.lines import Line2D

from experiments.figures import families, style
from experiments.stats.aggregates import profile
from experiments.system.files import write_bytes
from scripts.paper import aggregates, results, starts
from scripts.paper.results import Result
from scripts.paths import FIGURES

SWEEP = "reach"
# Each cell has a colour of its own, and each start of a cell its dashes.
DASHES = {
    "chrono": (0, (5, 1.5)),
    "bias1": (0, (2, 1)),
    "refined": style.DOTTED,
    "identity": style.DASHED,
}


def tasks() -> dict[str, list[int]]:
    """The lengths of each task that were run."""
    found: dict[str, set[int]] = {}
    for each in results.load(SWEEP):
        found.setdefault(each.problem[0], set()).add(each.problem[1])
    return {task: sorted(lengths) for task, lengths in found.items()}


def reached(variant: str, task: str) -> int:
    """The longest T that at least half of the seeds solve at the rate that is shown; 0 if none."""
    chosen = results.best(results.load(SWEEP))
    return max(
        (
            length
            for (problem, length), name in chosen
            if (problem, name) == (task, variant) and _half(chosen[(problem, length), name])
        ),
        default=0,
    )


def _half(result: Result) -> bool:
    return 2 * result.outcomes.solved >= result.outcomes.seeds


def parts() -> dict[str, str]:
    """The generated parts of docs/reach.md."""
    found = {f"reach {task}": table(task) for task in tasks()}
    return found | {"aggregates": aggregates.table(SWEEP), "provenance": results.provenance(SWEEP)}


def table(task: str) -> str:
    """A row for each cell and start, and a column for each length."""
    told, chosen, lengths = (
        results.variants(SWEEP),
        results.best(results.load(SWEEP)),
        tasks()[task],
    )
    lines = [
        f"| cell | {' | '.join(f'T = {length:,}' for length in lengths)} | reach |",
        "|---|" + "--:|" * (len(lengths) + 1),
    ]
    for variant, title in told.items():
        cells = [_cell(chosen.get(((task, length), variant))) for length in lengths]
        reach = reached(variant, task)
        lines.append(f"| {title} | {' | '.join(cells)} | {f'{reach:,}' if reach else 'none'} |")
    return "\n".join(lines)


def _cell(result: Result | None) -> str:
    """Solved seeds, and steps to solve or what was lost instead."""
    if result is None:
        return ""
    sums = result.outcomes
    blind = sums.loss[1] / result.row["baseline_loss"]
    end = f"{blind:.2g} x blind" if sums.median_steps is None else f"{sums.steps} updates"
    return f"{sums.solved}/{sums.seeds}, {end}"


def _looks() -> dict[str, dict[str, Any]]:
    """Colour and dashes of each variant."""
    cells = {each.variant: each.row["cell"] for each in results.load(SWEEP)}
    colors = dict(zip(families.ordered(cells.values()), style.COLORS, strict=False))
    return {
        variant: {
            "color": colors[cell],
            "ls": DASHES.get(starts.start(cell, variant), "-"),
        }
        for variant, cell in cells.items()
    }


def draw() -> None:
    """The figure of docs/reach.md."""
    told, looks, at = results.variants(SWEEP), _looks(), np.linspace(0, 1, 101)
    figure, (axis,) = style.panels((8, 3.6))
    lines = []
    for variant, title in told.items():
        found = profile(aggregates.spared(SWEEP, variant), at)
        style.band(axis, at, (found.low, found.value, found.high), alpha=0.1, **looks[variant])
        lines.append(Line2D([], [], lw=1.8, label=title, **looks[variant]))
    axis.set(xlim=(0, 1), ylim=(-0.02, 1.02))
    axis.set_xlabel("updates spared", fontsize=9)
    axis.set_ylabel("share of seeds that spare more", fontsize=9)
    axis.legend(
        handles=lines, frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5)
    )
    write_bytes(FIGURES / "profiles.png", style.saved(figure))
