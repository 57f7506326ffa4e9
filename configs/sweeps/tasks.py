"""All synthetic tasks, with a GRU, an LSTM and a vanilla RNN of 32 units at two learning rates.

python -m experiments.sweep --config=configs/sweeps/tasks.py
"""

import importlib

from ml_collections import ConfigDict

from configs.ablations import base, overrides
from configs.variants import Variants, product, values

# The name of each problem, its task's config, and the fields that differ from it.
PROBLEMS = {
    "adding": ("adding", {}),
    "copy": ("copy_memory", {"task.length": 10, "train.steps": 2000}),
    "variable_copy": ("variable_copy", {"task.length": 10}),
    "selective_copy": ("selective_copy", {"train.steps": 3000}),
    "copy_first": ("copy_first", {}),
    "order2": ("temporal_order", {}),
    "order3": ("temporal_order", {"task.relevant": 3}),
    "flip_flop": ("flip_flop", {}),
    "parity": ("cumulative_sum", {}),
    "sum5": ("cumulative_sum", {"task.modulus": 5}),
    "brackets": ("bracket_counting", {}),
    "means": ("mean_comparison", {}),
    "savings": ("savings", {}),
    "verdict_end": ("verdict", {"task.where": "end"}),
    "verdict_start": ("verdict", {"task.where": "start"}),
}
CELLS: Variants = {cell: {"model.cell": cell} for cell in ("gru", "lstm", "vanilla")}
RATES = values("optimizer.learning_rate", (0.01, 0.001), "lr")


def get_config() -> ConfigDict:
    config = base("tasks")
    config.model.hidden_sizes = (32,)
    return config


def sweep(add) -> None:
    for name, (module, changes) in PROBLEMS.items():
        config = importlib.import_module(f"configs.{module}").get_config()
        config.update_from_flattened_dict(changes)
        here = {f"{name}-T{config.task.length}": overrides(config)}
        for trial, whole in product(here, CELLS, RATES).items():
            add(trial, whole)
