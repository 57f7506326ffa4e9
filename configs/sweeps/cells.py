"""Vanilla, LSTM and GRU in their starts on adding and copy, all with about 10,000 parameters.

python -m experiments.sweep --config=configs/sweeps/cells.py
"""

from ml_collections import ConfigDict

from configs.sweeps import ablation, base
from configs.variants import Variants


def get_config() -> ConfigDict:
    return base("cells")


def cells(memory: float) -> Variants:
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


def sweep(add) -> None:
    ablation(add, {"adding": (50, 200), "copy": (10, 30)}, cells, reference="gru")
