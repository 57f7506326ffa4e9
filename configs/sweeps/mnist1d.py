"""MNIST-1D at the size of the published GRU, with all three cells and two readouts.

python -m experiments.sweep --config=configs/sweeps/mnist1d.py
"""

from ml_collections import ConfigDict

from configs import mnist1d
from configs.variants import Variants, product, values

PARAMETERS = 5134  # of the published GRU: bidirectional, 6 units, a readout of all 40 outputs
READINGS: Variants = {
    "flatten": {},
    "last": {"task.readout": "last", "model.bidirectional": False},
}
CELLS: Variants = {cell: {"model.cell": cell} for cell in ("gru", "lstm", "vanilla")}


def get_config() -> ConfigDict:
    return mnist1d.get_config()


def sweep(add) -> None:
    rates = values("optimizer.learning_rate", (0.01, 0.003), "lr")
    for name, overrides in product(READINGS, CELLS, rates).items():
        add(name, overrides, parameters=PARAMETERS)
