"""Three published comparisons at their sizes: temporal order, adding with marks anywhere, copy.

python -m experiments.sweep --config=configs/sweeps/reproductions.py
"""

from collections.abc import Callable, Sequence

from ml_collections import ConfigDict

from configs import adding, copy_memory, temporal_order
from configs.sweeps import base, overrides
from configs.variants import Variants, product, values

PLAIN: Variants = {cell: {"model.cell": cell} for cell in ("gru", "lstm", "vanilla")}
COPY_LENGTHS = (10, 25, 50, 100)


def get_config() -> ConfigDict:
    return base("reproductions")


def sweep(add) -> None:
    order = temporal_order.get_config()
    order.train.update({"steps": 5000, "batch_size": 16})
    _compare(add, "temporal_order", order, PLAIN, parameters=156, rates=(0.01, 0.003))

    anywhere = adding.get_config()
    anywhere.task.update({"length": 200, "protocol": "anywhere"})
    anywhere.train.update({"steps": 1500, "batch_size": 32})
    _compare(add, "adding_anywhere", anywhere, PLAIN, parameters=70_000, rates=(0.002,))

    for length in COPY_LENGTHS:
        copy = copy_memory.get_config()
        copy.task.length = length
        copy.train.update({"steps": 3000, "batch_size": 32})
        memory = float(length + 20)
        cells: Variants = {
            "gru": {"model.cell": "gru"},
            "gru_chrono": {"model.cell": "gru", "model.gru.chrono_max": memory},
            "lstm": {"model.cell": "lstm"},
            "lstm_chrono": {"model.cell": "lstm", "model.lstm.chrono_max": memory},
        }
        _compare(add, "copy", copy, cells, parameters=10_000, rates=(0.01,))


def _compare(
    add: Callable[..., None],
    problem: str,
    config: ConfigDict,
    cells: Variants,
    parameters: int,
    rates: Sequence[float],
) -> None:
    here = {f"{problem}-T{config.task.length}": overrides(config)}
    speeds = values("optimizer.learning_rate", rates, "lr")
    for name, changes in product(here, cells, speeds).items():
        add(name, changes, parameters=parameters)
