"""How far back each cell learns to look: adding over lengths T, with about 10,000 parameters.

At a longer T a cell is trained at the rates with which at least one of its seeds has solved the
length before; there are 16 seeds up to T = 200 and 8 beyond. To be run length by length, with
--only='adding-T100-*' and so on; docs/reach.md says what has been run, and what it cost.

python -m experiments.sweep --config=configs/sweeps/reach.py
"""

from ml_collections import ConfigDict

from configs import adding, copy_first
from configs.ablations import PARAMETERS, RATES, base, overrides
from configs.variants import Overrides, Variants, values

# By task, its lengths in the order in which they are run, with the number of seeds.
LENGTHS = {
    "adding": {100: 16, 200: 16, 400: 8, 750: 8, 1000: 8},
    "copy_first": {5: 16, 100: 16, 300: 8, 600: 8},
}
CONFIGS = {"adding": adding, "copy_first": copy_first}
PLAIN_RATES = (0.003, 0.001)  # a plain RNN learns nothing at the rates of the others


def get_config() -> ConfigDict:
    return base("reach")


def problem(task: str) -> Overrides:
    """The task and its budget; a seed that stands still for a thousand updates ends."""
    config = CONFIGS[task].get_config()
    config.train.update({"steps": 3000, "batch_size": 32})
    return overrides(config) | {"train.patience": 20}  # evaluations


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
        for length, seeds in lengths.items():
            here = problem(task) | {"task.length": length, "population.seeds": seeds}
            for cell, changes in cells(float(length)).items():
                rates = PLAIN_RATES if changes["model.cell"] == "vanilla" else RATES
                for rate, slower in values("optimizer.learning_rate", rates, "lr").items():
                    kind = f"{cell}-{rate}"
                    after = (shorter[kind],) if kind in shorter else ()
                    name = shorter[kind] = f"{task}-T{length}-{kind}"
                    add(name, here | changes | slower, parameters=PARAMETERS, after=after)
