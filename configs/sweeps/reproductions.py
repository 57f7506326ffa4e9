"""Three published comparisons: temporal order, adding with marks anywhere, and copy.

python -m experiments.sweep --config=configs/sweeps/reproductions.py
"""

from collections.abc import Callable, Sequence

from ml_collections import ConfigDict

from configs import adding, copy_memory, temporal_order
from configs.ablations import base, overrides
from configs.variants import Variants, product, values

PLAIN: Variants = {cell: {"model.cell": cell} for cell in ("gru", "lstm", "vanilla")}
COPY_LENGTHS = (10, 30, 100)
PUBLISHED_ADDING = 5.3e-5  # mean squared error of the GRU of Bai et al. (2018), at T = 600


def get_config() -> ConfigDict:
    return base("reproductions")


def sweep(add) -> None:
    order = temporal_order.get_config()
    order.train.update({"steps": 5000, "batch_size": 16})
    # The LSTM of 1997 had no forget gate.
    old = {"lstm_1997": {"model.cell": "lstm", "model.lstm.forget": "keep"}}
    cells = PLAIN | old | _chrono(110.0)
    _compare(add, "temporal_order", order, cells, parameters=156, rates=(0.01, 0.003))

    anywhere = adding.get_config()
    anywhere.task.update({"length": 200, "protocol": "anywhere"})
    anywhere.train.update({"steps": 2000, "batch_size": 32, "target": PUBLISHED_ADDING})
    decay = {"optimizer.schedule": "cosine", "optimizer.decay_steps": 2000}
    decayed = {name: cell | decay for name, cell in PLAIN.items()}
    _compare(add, "adding_anywhere", anywhere, decayed, parameters=70_000, rates=(0.005,))

    for length in COPY_LENGTHS:
        copy = copy_memory.get_config()
        copy.task.update({"length": length, "protocol": "tcn"})
        copy.train.update({"steps": 3000, "batch_size": 32})
        cells = {"gru": PLAIN["gru"], "lstm": PLAIN["lstm"]} | _chrono(length + 20.0)
        _compare(add, "copy", copy, cells, parameters=10_000, rates=(0.01,))


def _chrono(memory: float) -> Variants:
    return {
        f"{cell}_chrono": {"model.cell": cell, "model.chrono_max": memory}
        for cell in ("gru", "lstm")
    }


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
