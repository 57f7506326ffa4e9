"""What docs/reach.md shows of the sweep reach: how far back each cell learns to look."""

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator

from experiments.figures import style
from experiments.stats.aggregates import profile
from experiments.system.files import write_bytes
from scripts.paper import aggregates, results
from scripts.paper.results import Result
from scripts.paths import FIGURES

SWEEP = "reach"
ROWS, COLUMNS = 10, 4  # of README's table


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


def further(variant: str, task: str) -> bool:
    """Whether it has a reach, and was not tried at the next longer T."""
    chosen, reach = results.best(results.load(SWEEP)), reached(variant, task)
    longer = next((length for length in tasks()[task] if length > reach), None)
    return reach > 0 and longer is not None and ((task, longer), variant) not in chosen


def _half(result: Result) -> bool:
    return 2 * result.outcomes.solved >= result.outcomes.seeds


def parts() -> dict[str, str]:
    """The generated parts of docs/reach.md."""
    found = {f"reach {task}": table(task) for task in tasks()}
    return found | {"aggregates": aggregates.table(SWEEP), "provenance": results.provenance(SWEEP)}


def table(task: str, columns: int = 0) -> str:
    """A row for each cell and start, and a column for each length, or for so many longest ones."""
    told, chosen, lengths = (
        results.variants(SWEEP),
        results.best(results.load(SWEEP)),
        tasks()[task][-columns:],
    )
    lines = [
        f"| cell | {' | '.join(f'T = {length:,}' for length in lengths)} | reach |",
        "|---|" + "--:|" * (len(lengths) + 1),
    ]
    for variant, title in told.items():
        cells = [_cell(chosen.get(((task, length), variant))) for length in lengths]
        reach = reached(variant, task)
        told_reach = f"{reach:,}{' or more' * further(variant, task)}" if reach else "none"
        lines.append(f"| {title} | {' | '.join(cells)} | {told_reach} |")
    return "\n".join(lines)


def headline() -> str:
    """README's table: the ten that learn to look the farthest, and take the fewest updates."""
    told, lines = results.variants(SWEEP), table("adding", COLUMNS).splitlines()
    rows = dict(zip(told, lines[2:], strict=True))
    return "\n".join([*lines[:2], *(rows[variant] for variant in ordered("adding")[:ROWS])])


def ordered(task: str) -> list[str]:
    """The variants by their reach, and then by what they do at the longest length."""
    chosen, lengths = results.best(results.load(SWEEP)), tasks()[task]

    def merit(variant: str) -> tuple[int, list[tuple[float, ...]]]:
        found = [chosen.get(((task, length), variant)) for length in reversed(lengths)]
        return reached(variant, task), [results.merit(each) if each else () for each in found]

    return sorted(results.variants(SWEEP), key=merit, reverse=True)


def _cell(result: Result | None) -> str:
    """Solved seeds, and steps to solve or what was lost instead."""
    if result is None:
        return ""
    sums = result.outcomes
    diverged = sum(step is not None for step in result.row["summary"]["diverged_step"])
    lost = f", {diverged} diverged" if diverged else ""
    return f"{sums.solved}/{sums.seeds}, {sums.end(result.row['baseline_loss'])}{lost}"


def draw() -> None:
    """The figures of docs/reach.md: one for each task, and the profiles."""
    for task, lengths in tasks().items():
        if len(lengths) > 1:
            write_bytes(FIGURES / f"reach_{task}.png", style.saved(_drawn(task, lengths)))
    _draw_profiles()


def _drawn(task: str, lengths: list[int]) -> Figure:
    told, looks, first = results.variants(SWEEP), results.looks(SWEEP), lengths[0] / 1.6
    figure, (left, right) = style.panels((10, 3.9), 2, width_ratios=(1, 1.2))
    order = ordered(task)[::-1]
    for place, variant in enumerate(order):
        if reach := reached(variant, task):
            color = looks[variant]["color"]
            left.plot([first, reach], [place] * 2, color=color, lw=2, alpha=0.5)
            mark = ">" if further(variant, task) else "o"
            left.plot([reach], [place], mark, color=color, ms=7, clip_on=False)
        else:
            left.text(first * 1.03, place, "none", va="center", fontsize=8, color=style.MARK)
    left.set(xscale="log", xlim=(first, lengths[-1] * 1.05), ylim=(-0.7, len(told)))
    left.set_yticks(range(len(order)), [told[variant] for variant in order], fontsize=9)
    left.set_xlabel("longest T that half of the seeds solve", fontsize=9)
    left.set_title(task, loc="left", fontsize=10)
    _updates(right, task)
    far = [*(longer > 1.5 * length for length, longer in itertools.pairwise(lengths)), True]
    names = [f"{length:,}" if room else "" for length, room in zip(lengths, far, strict=True)]
    for axis in (left, right):
        axis.set_xticks(lengths, names, fontsize=8)
        axis.xaxis.set_minor_locator(NullLocator())
    return figure


def _updates(axis: Axes, task: str) -> None:
    """Updates to solve over T, with a line for each variant."""
    chosen, told, looks = (
        results.best(results.load(SWEEP)),
        results.variants(SWEEP),
        results.looks(SWEEP),
    )
    for variant in ordered(task):
        found = [
            (length, sums.median_steps)
            for length in tasks()[task]
            if (result := chosen.get(((task, length), variant)))
            and (sums := result.outcomes).median_steps is not None
        ]
        if found:
            lengths, steps = zip(*found, strict=True)
            axis.plot(lengths, steps, "o", ms=4, lw=1.6, label=told[variant], **looks[variant])
    axis.set(xscale="log", yscale="log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter("{x:,.0f}")
    axis.yaxis.set_minor_locator(NullLocator())
    axis.set_ylabel("median updates to solve", fontsize=9)
    axis.set_xlabel("T", fontsize=9)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    style.ruled(axis)


def _draw_profiles() -> None:
    told, looks, at = results.variants(SWEEP), results.looks(SWEEP), np.linspace(0, 1, 101)
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
