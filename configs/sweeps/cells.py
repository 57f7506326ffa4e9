"""Cells and initialisations on adding and copy, all with about 10,000 parameters.

`lstm_wide` has as many units as the GRU, and so a third more parameters. The vanilla RNN is also
trained at a third, smaller learning rate, since it learns nothing at the others.

python -m experiments.sweep --config=configs/sweeps/cells.py
"""

from ml_collections import ConfigDict

from configs.ablations import ablation, base
from configs.variants import Variants

# The lengths of each task, and the number of units with which a GRU has 10,000 parameters.
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
