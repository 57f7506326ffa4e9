"""A GRU without one of its gates, at about 10,000 parameters: is the reset gate needed?

python -m experiments.sweep --config=configs/sweeps/gates.py
"""

from ml_collections import ConfigDict

from configs.ablations import ablation, base
from configs.variants import Variants

CELLS: Variants = {
    "full": {},
    "before": {"model.gru.reset_after": False},
    "open": {"model.gru.reset": "open"},
    "replace": {"model.gru.update": "replace"},
    "constant": {"model.gru.update": "constant"},
}


def get_config() -> ConfigDict:
    return base("gates")


def sweep(add) -> None:
    problems = {"adding": (100,), "copy": (20,), "flip_flop": (100,)}
    ablation(add, problems, lambda _: CELLS, reference="full")
