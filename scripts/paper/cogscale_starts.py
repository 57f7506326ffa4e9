"""CogScale with other starts of GRU and LSTM, beside the best published scores."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from configs.cogscale import VALUES
from configs.sweeps import cogscale_starts as sweep
from experiments.figures import style
from experiments.system.files import write_bytes
from scripts.paper import cogscale, results, starts
from scripts.paper.cogscale import Score
from scripts.paper.results import Result
from scripts.paths import FIGURES

SWEEP = "cogscale_starts"
MARKERS = {"": "o", "bias1": "^", "chrono": "D", "refined": "s"}
LEAST = 1e-4  # smaller errors are drawn there


def table() -> str:
    """The score of each start on each task that has been run; in bold, those that keep up."""
    (first, *_), found = tasks(), chosen()
    cells = {name: found[first, name].row["cell"] for name in sweep.starts(1.0)}
    titles = [starts.title(cell, name) for name, cell in cells.items()]
    lines = [
        f"| task | {', published | '.join(cogscale.CELLS)}, published | {' | '.join(titles)} "
        "| best published |",
        f"|---|{'--:|' * (len(cogscale.CELLS) + len(titles))}---|",
    ]
    for task in tasks():
        theirs = [cogscale.score(task, sweep.SIZE, cell) for cell in cogscale.CELLS]
        ours = [cogscale.ours(found[task, name]) for name in cells]
        told = [*map(str, theirs), *(f"**{s}**" if keeps_up(task, s) else str(s) for s in ours)]
        score, model = cogscale.best(task, sweep.SIZE)
        name = task.replace("_", " ")
        lines.append(f"| {name} | {' | '.join(told)} | {score}, {model} |")
    kept = [task for task in tasks() if keeps_up(task, least(task))]
    told_kept = f"Tasks on which the best start keeps up: {len(kept)} of the {len(tasks())} above."
    return "\n".join([*lines, "", told_kept, "", results.provenance(SWEEP)])


def draw() -> None:
    """The figure of docs/cogscale.md."""
    write_bytes(FIGURES / "cogscale.png", style.saved(drawn()))


def drawn() -> Figure:
    """On a row for each task all scores; shares of wrong answers by themselves."""
    parts: dict[str, list[str]] = {"share of wrong answers": [], "error": []}
    for task in tasks()[::-1]:
        parts["error" if task in VALUES else "share of wrong answers"].append(task)
    parts = {label: names for label, names in parts.items() if names}
    height = 1.5 + 0.42 * max(map(len, parts.values()))
    figure, axes = style.panels((10 if len(parts) > 1 else 7.5, height), len(parts))
    for axis, (label, names) in zip(axes, parts.items(), strict=True):
        _draw(axis, names)
        floor = f"; {LEAST:g} or less at the left" if label == "error" else ""
        axis.set(xlabel=f"{label} (less is better{floor})", ylim=(-0.6, len(names) - 0.4))
        axis.set_yticks(range(len(names)), [task.replace("_", " ") for task in names])
        if label == "error":
            axis.set(xscale="log", xlim=(LEAST * 0.8, 1.2))
        else:
            axis.set(xlim=(-0.03, 1.03))
    handles, labels = axes[0].get_legend_handles_labels()
    columns = 5 if len(parts) > 1 else 3
    figure.legend(
        handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=8
    )
    return figure


def _draw(axis: Axes, names: list[str]) -> None:
    for row, task in enumerate(names):
        axis.axhline(row, color=style.SEED, lw=0.4, zorder=0)
        theirs = [max(score.mean, LEAST) for score in cogscale.scores(task, sweep.SIZE).values()]
        told = ("seven published models", "the best of them") if not row else ("", "")
        ticks: dict[str, Any] = {"marker": "|", "ls": "", "zorder": 1}
        for x, color, size, label in zip(
            (theirs, [min(theirs)]), (style.SEED, style.MARK), (11, 15), told, strict=True
        ):
            axis.plot(x, [row] * len(x), color=color, ms=size, mew=2, label=label, **ticks)
    looks = results.looks(SWEEP)
    for name, title in results.variants(SWEEP).items():
        found = [chosen()[task, name] for task in names]
        ours = [max(cogscale.ours(each).mean, LEAST) for each in found]
        look: dict[str, Any] = {
            "marker": MARKERS[starts.start(found[0].row["cell"], name)],
            "ls": "",
        }
        look |= {"color": looks[name]["color"], "mfc": "none", "mew": 1.5}
        axis.plot(ours, range(len(names)), label=title, **look)


def tasks() -> list[str]:
    """Those that have been run."""
    run = {task for task, _ in chosen()}
    return [task for task in sweep.PROBLEMS if task in run]


def least(task: str) -> Score:
    """Our score with the start that is best in validation."""
    ours = [result for (of, _), result in chosen().items() if of == task]
    return cogscale.ours(min(ours, key=_validated))


def keeps_up(task: str, score: Score) -> bool:
    """Whether it is below the best published score, or within the deviation of that."""
    theirs, _ = cogscale.best(task, sweep.SIZE)
    return score.mean <= theirs.mean + theirs.deviation


def _validated(result: Result) -> float:
    return float(np.mean(cogscale.errors(result, result.row["summary"]["eval"])))


@functools.cache
def chosen() -> Mapping[tuple[str, str], Result]:
    """Of each task and start the learning rate with the best mean score in validation."""
    ordered = sorted(results.load(SWEEP), key=_validated, reverse=True)
    return {(each.row["trial"].partition("-")[0], each.variant): each for each in ordered}
