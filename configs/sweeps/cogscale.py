"""CogScale: GRU and LSTM as its authors trained them, at the rates that they found the best.

Widths are those with which a model is nearest to the number of parameters.

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
        name = "-".join(
            (row["task"], row["difficulty"], row["parameters"], f"{row['model'].lower()}_torch")
        )
        here = problem(row["task"], row["difficulty"])
        add(
            f"{name}-lr{float(row['learning_rate']):g}",
            here | changes | rate,
            parameters=int(row["parameters"]),
        )


def published() -> list[dict[str, str]]:
    """The authors' rows of GRU and LSTM that are trained here, in the order of `PROBLEMS`."""
    with PUBLISHED.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] in ("GRU", "LSTM")]
    kept = [row for row in rows if (row["difficulty"], int(row["parameters"])) in AS_PUBLISHED]
    return sorted(kept, key=lambda row: PROBLEMS.index(row["task"]))
