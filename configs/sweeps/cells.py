"""Cells on adding and copy over a few lengths, all with about ten thousand parameters.

python -m experiments.sweep --config=configs/sweeps/cells.py
"""

from ml_collections import ConfigDict

from configs import adding, copy_memory
from configs.variants import Variants, product

PARAMETERS = 10_000
RATES = {"lr0.01": {"optimizer.learning_rate": 0.01}, "lr0.003": {"optimizer.learning_rate": 0.003}}
PROBLEMS = {
    "adding": (adding, (50, 200), 2000),
    "copy": (copy_memory, (10, 30), 3000),
}


def cells(memory: float) -> Variants:
    """Every cell in its starts; `memory` is the longest that chrono provides for, in steps."""
    gru, lstm = {"model.cell": "gru"}, {"model.cell": "lstm"}
    return {
        "gru": gru | {"model.gru.update_bias": 0.0},
        "gru_bias1": gru | {"model.gru.update_bias": 1.0},
        "gru_chrono": gru | {"model.gru.chrono_max": memory},
        "lstm_bias0": lstm | {"model.lstm.forget_bias": 0.0},
        "lstm": lstm | {"model.lstm.forget_bias": 1.0},
        "lstm_chrono": lstm | {"model.lstm.chrono_max": memory},
        "vanilla": {"model.cell": "vanilla"},
    }


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.name = "cells"
    return config


def sweep(add) -> None:
    for problem, (base, lengths, steps) in PROBLEMS.items():
        config = base.get_config()
        for length in lengths:
            task = {"task": {**config.task.to_dict(), "length": length}}
            train = {
                "train.steps": steps,
                "train.target_metric": config.train.target_metric,
                "train.target": config.train.target,
            }
            here = {f"{problem}-T{length}": task | train}
            memory = float(length + 20 if problem == "copy" else length)
            for rate, overrides in RATES.items():
                reference = f"{problem}-T{length}-gru-{rate}"
                for name, changes in product(here, cells(memory), {rate: overrides}).items():
                    against = None if name == reference else reference
                    add(name, changes, parameters=PARAMETERS, reference=against)
