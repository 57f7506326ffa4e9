"""How far back each cell learns to look: adding, copy and copy-first over lengths T.

At a longer T a cell is trained at the rates with which at least one of its seeds has solved the
length before. To be run length by length, with --only='adding-T100-*' and so on; docs/reach.md says
what has been run, and what it cost.

python -m experiments.sweep --config=configs/sweeps/reach.py
"""

import math

from ml_collections import ConfigDict

from configs import adding, copy_first, copy_memory
from configs.ablations import base, overrides
from configs.variants import Overrides, Variants, values

# By task, its lengths in the order in which they are run, with the number of seeds.
LENGTHS = {
    "adding": {100: 16, 200: 16, 400: 8, 750: 8, 1000: 8, 2000: 4, 5000: 4, 10_000: 4},
    "copy_first": {5: 16, 100: 16, 300: 8, 600: 8},
    "copy": {10: 4, 30: 4, 100: 4, 200: 4},
}
CONFIGS = {"adding": adding, "copy_first": copy_first, "copy": copy_memory}
PARAMETERS = {"adding": 10_000, "copy_first": 10_000, "copy": 18_000}
# A plain RNN learns nothing at the rates of the others, and copying wants a high one that falls.
RATES = {"adding": (0.01, 0.003), "copy_first": (0.01, 0.003), "copy": (0.02, 0.01)}
PLAIN_RATES = (0.003, 0.001)
LONG = 1000  # from here on only the first of them, which at 750 is the better one of every cell
FAR = 5000  # from here on with no more memory than over hundreds of steps
# From so many steps on only some: where an update takes seconds those that need the fewest of them
# to add, and of copy, where all need thousands, those that are made for long memories.
FEWEST = {
    "adding": (FAR, ("gru_chrono", "gru_refined", "lstm_chrono")),
    "copy": (30, ("gru_chrono", "lstm_chrono", "lem", "exprnn")),
}
# A seed that stands still for a thousand updates ends; the copy problem has longer plateaus.
BUDGET = {"train.batch_size": 32, "train.steps": 3000, "train.patience": 20}
# Digits become exact while the rate falls.
COPYING = {
    "train.batch_size": 32,
    "train.steps": 20_000,
    "train.log_every": 100,
    "train.checkpoint_every": 1000,
    "train.patience": 40,
    "optimizer.schedule": "warmup_cosine",
    "optimizer.warmup_steps": 500,
}


def get_config() -> ConfigDict:
    return base("reach")


def problem(task: str) -> Overrides:
    """The task and its budget."""
    return overrides(CONFIGS[task].get_config()) | (COPYING if task == "copy" else BUDGET)


def cells(memory: float) -> Variants:
    gru, lstm, vanilla = ({"model.cell": name} for name in ("gru", "lstm", "vanilla"))
    identity = {"model.vanilla.activation": "relu", "model.vanilla.recurrent_start": "identity"}
    return {
        "gru": gru | {"model.keeping_bias": 0.0},
        "gru_bias1": gru | {"model.keeping_bias": 1.0},
        "gru_chrono": gru | {"model.chrono_max": memory},
        "gru_refined": gru | {"model.gru.update": "refined"},
        "lstm": lstm | {"model.keeping_bias": 1.0},
        "lstm_chrono": lstm | {"model.chrono_max": memory},
        "vanilla": vanilla,
        "vanilla_identity": vanilla | identity,
        "min_gru_two": {"model.cell": "min_gru", "model.hidden_sizes": (1, 1)},
        "nbrc": {"model.cell": "nbrc"},
        "lem": {"model.cell": "lem"},
        "exprnn": {"model.cell": "exprnn"},
    }


def sweep(add) -> None:
    for task, lengths in LENGTHS.items():
        shorter: dict[str, str] = {}  # by cell and rate, the trial of the length before
        far, fewest = FEWEST.get(task, (math.inf, ()))
        for length, seeds in lengths.items():
            here = problem(task) | {"task.length": length, "population.seeds": seeds}
            if length >= FAR:
                here["model.gradient"] = "recomputed"
            memory = float(length + 20 if task == "copy" else length)
            for cell, changes in cells(memory).items():
                if length >= far and cell not in fewest:
                    continue
                rates: tuple[float, ...] = (
                    PLAIN_RATES if changes["model.cell"] == "vanilla" else RATES[task]
                )
                rates = rates[: 1 if length >= LONG else None]
                for rate, slower in values("optimizer.learning_rate", rates, "lr").items():
                    kind = f"{cell}-{rate}"
                    after = (shorter[kind],) if kind in shorter else ()
                    name = shorter[kind] = f"{task}-T{length}-{kind}"
                    add(name, here | changes | slower, parameters=PARAMETERS[task], after=after)
