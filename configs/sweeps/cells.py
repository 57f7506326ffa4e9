"""Vanilla, LSTM and GRU in their starts on adding and copy, all with about 10,000 parameters.

`lstm_wide` has as many units as the GRU has, hence a third more parameters. The vanilla RNN
gets a third, smaller rate: at the others it stays where it was.

python -m experiments.sweep --config=configs/sweeps/cells.py
"""

from ml_collections import ConfigDict

from configs.sweeps import ablation, base
from configs.variants import Variants

# Lengths of each task, and the units of a GRU of 10,000 parameters there.
PROBLEMS = {"adding": ((50, 200), 56), "copy": ((10, 30), 51)}
VANILLA: Variants = {"vanilla": {"model.cell": "vanilla"}}


def get_config() -> ConfigDict:
    return base("cells")


def cells(memory: float, width: int) -> Variants:
    gru, lstm = {"model.cell": "gru"}, {"model.cell": "lstm"}
    return {
        "gru": gru | {"model.keeping_bias": 0.0},
        "gru_bias1": gru | {"model.keeping_bias": 1.0},
        "gru_chrono": gru | {"model.chrono_max": memory},
        "lstm_bias0": lstm | {"model.keeping_bias": 0.0},
        "lstm": lstm | {"model.keeping_bias": 1.0},
        "lstm_wide": lstm | {"model.keeping_bias": 1.0, "model.hidden_sizes": (width,)},
        "lstm_chrono": lstm | {"model.chrono_max": memory},
        **VANILLA,
    }


def sweep(add) -> None:
    for problem, (lengths, width) in PROBLEMS.items():
        here = lambda memory, width=width: cells(memory, width)
        ablation(add, {problem: lengths}, here, reference="gru")
        ablation(add, {problem: lengths}, lambda _: VANILLA, reference=None, rates=(0.001,))
