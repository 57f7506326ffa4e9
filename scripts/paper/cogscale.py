"""CogScale: the scores that its authors published, and ours by their protocol."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from configs import cogscale
from configs.sweeps import cogscale as sweep
from scripts.paper import results
from scripts.paper.results import Result

SWEEP = "cogscale"
MODELS = {
    "ESN": "echo state",
    "GRU": "GRU",
    "LSTM": "LSTM",
    "MAMBA": "Mamba",
    "TRANSFORMER_DECODER": "transformer, decoder",
    "TRANSFORMER_ENCDEC": "transformer, encoder and decoder",
    "XLSTM": "xLSTM",
}
CELLS = ("GRU", "LSTM")
Size = tuple[str, int]  # of the examples, and the number of parameters


@dataclasses.dataclass(frozen=True)
class Score:
    """The mean over seeds of an error, less is better, and its deviation."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, errors: Sequence[float]) -> "Score":
        return cls(float(np.mean(errors)), float(np.std(errors, ddof=1)))

    def __str__(self) -> str:
        return f"{_number(self.mean)} ± {_number(self.deviation)}"

    def agrees(self, published: "Score") -> bool:
        """Whether it is within the deviation of a published one."""
        return abs(self.mean - published.mean) <= published.deviation


def table() -> str:
    """For each size that has been run at least in part, the authors' scores and ours."""
    parts = [_table(size) for size in sizes()]
    return "\n\n".join([*parts, results.provenance(SWEEP)])


def sizes() -> list[Size]:
    """Those of which at least one task has been run."""
    return [size for size in sweep.AS_PUBLISHED if tasks(size)]


def tasks(size: Size) -> list[str]:
    """Those that have been run with every cell."""
    trials = lambda task: (sweep.trial(published()[task, size, cell]) for cell in CELLS)
    return [task for task in sweep.PROBLEMS if all(trial in runs() for trial in trials(task))]


def _table(size: Size) -> str:
    difficulty, parameters = size
    heads = [f"{cell}: published | ours" for cell in CELLS]
    lines = [
        f"| {difficulty}, {parameters:,} parameters | {' | '.join(heads)} | best published |",
        f"|---|{'--:|' * 2 * len(CELLS)}---|",
    ]
    for task in tasks(size):
        pairs = [pair(task, size, cell) for cell in CELLS]
        shown = [f"{theirs} | {_marked(ours, theirs)}" for theirs, ours in pairs]
        score, model = best(task, size)
        lines.append(f"| {task.replace('_', ' ')} | {' | '.join(shown)} | {score}, {model} |")
    agreed = " and ".join(f"{len(agreeing(size, cell))} for {cell}" for cell in CELLS)
    lines += ["", f"Within the published deviation, of {len(tasks(size))}: {agreed}."]
    if left := [task.replace("_", " ") for task in sweep.PROBLEMS if task not in tasks(size)]:
        lines += ["", f"Not trained in this size: {', '.join(left)}."]
    return "\n".join(lines)


def agreeing(size: Size, cell: str) -> list[str]:
    """The tasks of which our score is within the published deviation."""
    pairs = {task: pair(task, size, cell) for task in tasks(size)}
    return [task for task, (theirs, ours) in pairs.items() if ours.agrees(theirs)]


def pair(task: str, size: Size, cell: str) -> tuple[Score, Score]:
    """The published score of a cell, and ours."""
    trial = sweep.trial(published()[task, size, cell])
    return score(task, size, cell), ours(runs()[trial])


def score(task: str, size: Size, model: str) -> Score:
    """The published score of an architecture."""
    return _score(published()[task, size, model])


def best(task: str, size: Size) -> tuple[Score, str]:
    """The best published score, and the model that has it."""
    found = scores(task, size)
    model = min(found, key=lambda model: found[model].mean)
    return found[model], MODELS[model]


def scores(task: str, size: Size) -> dict[str, Score]:
    """The published score of each architecture."""
    return {model: _score(row) for (*of, model), row in published().items() if of == [task, size]}


def ours(result: Result) -> Score:
    """Of each seed's model that scored best in validation, on its test examples."""
    return Score.of(errors(result, result.judged))


def errors(result: Result, metrics: dict[str, Any]) -> list[float]:
    """The score of each seed from its metrics on validation or test examples."""
    values = result.problem[0].partition(",")[0].replace("-", "_") in cogscale.VALUES
    found = metrics["loss" if values else "accuracy"]["per_seed"]
    return [each if values else 1 - each for each in found]


@functools.cache
def published() -> dict[tuple[str, Size, str], dict[str, str]]:
    """The authors' rows by task, size and model."""
    return {(row["task"], sweep.size(row), row["model"]): row for row in sweep.scores()}


def runs() -> dict[str, Result]:
    return {each.row["trial"]: each for each in results.load(SWEEP)}


def _score(row: dict[str, str]) -> Score:
    return Score(float(row["mean_score"]), float(row["sd"]))


def _marked(ours: Score, theirs: Score) -> str:
    return str(ours) if ours.agrees(theirs) else f"**{ours}**"


def _number(value: float) -> str:
    return f"{value:.2f}" if value >= 0.095 else f"{value:.1g}" if value else "0"
