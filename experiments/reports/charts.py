"""The figures of a report: learning curves, and outcomes over the task's length."""

import base64
import functools
import json
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.figures import style
from experiments.reports.results import Entry
from experiments.stats.outcomes import WORSE

# A page that is followed is made again and again, and most of its trials stay as they were.
kept = functools.lru_cache(maxsize=64)


def figures(problems: dict[str, list[Entry]]) -> list[dict[str, Any]]:
    """What the page shows below its tables: title, images, and a caption each."""
    if not problems:
        return []
    shown = [
        {
            "title": "Learning curves",
            "images": [_curves(title, tuple(group)) for title, group in problems.items()],
            "caption": "Evaluation loss over the steps: median over the seeds, quartiles shaded. "
            "A seed that is done keeps its last loss. Dotted: the input-blind loss.",
        }
    ]
    ended = [entry for group in problems.values() for entry in group if entry.outcomes]
    lines = _over_length(ended)
    if lines:
        shown.append(
            {
                "title": "Success and final loss over T",
                "images": [
                    _lengths(task, tuple((name, tuple(line)) for name, line in group.items()))
                    for task, group in lines.items()
                ],
                "caption": "Left: share of the seeds that solved the task, 95 % Wilson interval. "
                "Right: final loss, median and quartiles; dotted: the input-blind loss.",
            }
        )
    return shown


@kept
def _curves(title: str, group: tuple[Entry, ...]) -> dict[str, Any]:
    figure, (axis,) = style.panels((9, 3.8))
    for entry, line in zip(group, style.lines(len(group)), strict=True):
        steps, *quartiles = entry.curve.values()
        style.band(axis, steps, quartiles, label=entry.name, **line)
        axis.plot(steps[-1:], quartiles[1][-1:], "o", color=line["color"], ms=4)
    baseline = group[0].settings.experiment.task.baseline_loss
    axis.axhline(baseline, color=style.MARK, lw=1, ls=style.DOTTED)
    axis.set(yscale="log", xlabel="step", ylabel="evaluation loss")
    bottom, top = axis.get_ylim()
    top = min(top, max(WORSE * baseline, 2 * bottom))  # beyond that a seed has diverged
    axis.set_ylim(bottom, top)
    if top < 3 * bottom:  # too small a range for readable ticks on a logarithmic scale
        axis.set_yscale("linear")
    axis.set_title(title, loc="left", fontsize=10)
    return _image(figure, axis)


def _over_length(ended: list[Entry]) -> dict[str, dict[str, list[Entry]]]:
    """By task, lines of entries that differ only in the task's length (and the width)."""
    lines: dict[str, dict[str, list[Entry]]] = {}
    for entry in ended:
        config = json.loads(json.dumps(entry.settings.config))
        config["task"].pop("length", None)  # collected data have their own length
        del config["model"]["hidden_sizes"]
        task = config["task"]["name"].replace("_", " ")
        lines.setdefault(task, {}).setdefault(json.dumps(config, sort_keys=True), []).append(entry)
    named = {
        task: {_common(line): line for group in groups.values() for line in _by_width(group)}
        for task, groups in lines.items()
    }
    return {task: groups for task, groups in named.items() if groups}


def _by_width(group: list[Entry]) -> list[list[Entry]]:
    """The lines of a group, each of two lengths at least: one line, or one for each width where a
    length has several.
    """
    of = lambda line: {entry.settings.experiment.task.length for entry in line}
    lines = [group]
    if len(of(group)) < len(group):
        width = lambda entry: str(entry.settings.config["model"]["hidden_sizes"])
        several: dict[str, list[Entry]] = {}
        for entry in group:
            several.setdefault(width(entry), []).append(entry)
        lines = [*several.values()]
    return [line for line in lines if len(of(line)) > 1]


def _common(line: list[Entry]) -> str:
    """The shared part of the names of a line's trials: "chrono" for T50-chrono and T100-chrono."""
    first, *rest = [entry.name.split("-") for entry in line]
    return "-".join(word for word in first if all(word in other for other in rest)) or line[0].name


@kept
def _lengths(task: str, lines: tuple[tuple[str, tuple[Entry, ...]], ...]) -> dict[str, Any]:
    figure, (left, right) = style.panels((9, 3.6), 2)
    baseline: dict[int, Entry] = {}
    looks = style.lines(len(lines))
    for index, (name, line) in enumerate(lines):
        ordered = sorted(line, key=lambda entry: entry.settings.experiment.task.length)
        sums = [entry.outcomes for entry in ordered if entry.outcomes]
        lengths = [entry.settings.experiment.task.length for entry in ordered]
        shift = 1 + 0.012 * (index - len(lines) / 2)  # so that intervals do not hide each other
        places = [length * shift for length in lengths]
        look: dict[str, Any] = {**looks[index], "marker": "o", "ms": 4, "capsize": 2}
        shares = [each.solved / each.seeds for each in sums]
        left.errorbar(
            places,
            shares,
            [
                [share - each.success[0] for share, each in zip(shares, sums, strict=True)],
                [each.success[1] - share for share, each in zip(shares, sums, strict=True)],
            ],
            label=name,
            **look,
        )
        medians = [each.loss[1] for each in sums]
        right.errorbar(
            places,
            medians,
            [
                [median - each.loss[0] for median, each in zip(medians, sums, strict=True)],
                [each.loss[2] - median for median, each in zip(medians, sums, strict=True)],
            ],
            **look,
        )
        baseline |= {e.settings.experiment.task.length: e for e in ordered}
    known = sorted(baseline)
    losses = [baseline[length].settings.experiment.task.baseline_loss for length in known]
    right.plot(known, losses, color=style.MARK, lw=1, ls=style.DOTTED)
    left.set(xscale="log", xlabel="T", ylabel="share solved", ylim=(-0.05, 1.05))
    right.set(xscale="log", yscale="log", xlabel="T", ylabel="final loss")
    for axis in (left, right):
        axis.set_xticks(known, [str(length) for length in known])
        axis.minorticks_off()
    left.set_title(task, loc="left", fontsize=10)
    return _image(figure, left, right)


def _image(figure: Figure, *axes: Axes) -> dict[str, Any]:
    """The figure as a data URI, with a legend beside it, and its size."""
    for axis in axes:
        style.ruled(axis)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    drawn = base64.b64encode(style.saved(figure, "svg")).decode()
    width, height = (round(100 * inches) for inches in figure.get_size_inches())
    return {"uri": f"data:image/svg+xml;base64,{drawn}", "width": width, "height": height}
