"""Activation functions of the candidate and of the gates, in a GRU of about 10,000 parameters.

python -m experiments.sweep --config=configs/sweeps/activations.py
"""

from ml_collections import ConfigDict

from configs.ablations import ablation, base
from configs.variants import Variants

CELLS: Variants = {
    "tanh": {},
    "relu": {"model.gru.activation": "relu"},
    "softsign": {"model.gru.activation": "softsign"},
    "linear": {"model.gru.activation": "identity"},
    "hard_gates": {"model.gru.gate_activation": "hard_sigmoid"},
}


def get_config() -> ConfigDict:
    return base("activations")


def sweep(add) -> None:
    problems = {"adding": (100,), "copy": (20,), "flip_flop": (100,)}
    ablation(add, problems, lambda _: CELLS, reference="tanh")
