"""CogScale with other starts of GRU and LSTM, beside the best published scores."""

import functools
from collections.abc import Mapping

import numpy as np

from configs.sweeps import cogscale_starts as sweep
from scripts.paper import cogscale, results, starts
from scripts.paper.cogscale import Score
from scripts.paper.results import Result

SWEEP = "cogscale_starts"


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


def tasks() -> list[str]:
    """Those that have been run."""
    run = {task for task, _ in chosen()}
    return [task for task in sweep.PROBLEMS if task in run]


def least(task: str) -> Score:
    """The best of our scores."""
    ours = [cogscale.ours(result) for (of, _), result in chosen().items() if of == task]
    return min(ours, key=lambda score: score.mean)


def keeps_up(task: str, score: Score) -> bool:
    """Whether it is below the best published score, or within the deviation of that."""
    theirs, _ = cogscale.best(task, sweep.SIZE)
    return score.mean <= theirs.mean + theirs.deviation


@functools.cache
def chosen() -> Mapping[tuple[str, str], Result]:
    """Of each task and start the learning rate with the best mean score in validation."""
    validated = lambda each: np.mean(cogscale.errors(each, each.row["summary"]["eval"]))
    ordered = sorted(results.load(SWEEP), key=validated, reverse=True)
    return {(each.row["trial"].partition("-")[0], each.variant): each for each in ordered}
