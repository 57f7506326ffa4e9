"""CogScale: GRU and LSTM as its authors trained them, at the rates that they found the best.

Widths are those with which a model is nearest to the number of parameters. The sizes are run one by
one, with --only='*-small_1000-*' and so on; docs/cogscale.md says what has been run.

python -m experiments.sweep --config=configs/sweeps/cogscale.py
"""

import csv
from pathlib import Path

from ml_collections import ConfigDict

from configs import cogscale
from configs.ablations import overrides
from configs.variants import Overrides

# Mean scores of the authors, and the rates that they chose, from their table of all runs (MIT).
PUBLISHED = Path(__file__).parents[2] / "results" / "cogscale_published.csv"
AS_PUBLISHED = (("small", 1000), ("small", 10_000), ("medium", 10_000))
# Those on which recurrent nets are behind come first.
PROBLEMS = (
    "selective_copy",
    "simple_copy",
    "sorting_problem",
    "induction_heads",
    "bracket_matching",
    "discrete_pattern_completion",
    "continuous_pattern_completion",
    "associative_recall",
    "adding_problem",
    "cross_situation",
    "discrete_postcasting",
    "continuous_postcasting",
    "sinus_forecasting",
    "chaotic_forecasting",
)


def get_config() -> ConfigDict:
    return cogscale.get_config()


def problem(name: str, difficulty: str) -> Overrides:
    config = cogscale.get_config(f"{name},{difficulty}")
    fields = ("log_every", "checkpoint_every")
    return overrides(config) | {f"train.{field}": config.train[field] for field in fields}


def sweep(add) -> None:
    for row in published():
        changes = {"model.cell": row["model"].lower(), "model.start": "torch"}
        rate = {"optimizer.learning_rate": float(row["learning_rate"])}
        here = problem(row["task"], row["difficulty"])
        add(trial(row), here | changes | rate, parameters=int(row["parameters"]))


def trial(row: dict[str, str]) -> str:
    """The trial that repeats a row of the authors."""
    size, cell = f"{row['difficulty']}_{row['parameters']}", f"{row['model'].lower()}_torch"
    return f"{row['task']}-{size}-{cell}-lr{float(row['learning_rate']):g}"


def published() -> list[dict[str, str]]:
    """The authors' rows of GRU and LSTM that are trained here, size by size."""
    rows = [row for row in scores() if row["model"] in ("GRU", "LSTM")]
    kept = [row for row in rows if size(row) in AS_PUBLISHED]
    place = lambda row: (AS_PUBLISHED.index(size(row)), PROBLEMS.index(row["task"]))
    return sorted(kept, key=place)


def size(row: dict[str, str]) -> tuple[str, int]:
    return row["difficulty"], int(row["parameters"])


def scores() -> list[dict[str, str]]:
    """All rows of the authors: a task in a size, an architecture, a number of parameters."""
    with PUBLISHED.open(newline="") as file:
        return list(csv.DictReader(file))
