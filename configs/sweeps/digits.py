"""Handwritten digits of 8 x 8 pixels, read one pixel per step, with all three cells.

python -m experiments.sweep --config=configs/sweeps/digits.py
"""

from ml_collections import ConfigDict

from configs import digits
from configs.variants import Variants, product, values

CELLS: Variants = {cell: {"model.cell": cell} for cell in ("gru", "lstm", "vanilla")}


def get_config() -> ConfigDict:
    return digits.get_config()


def sweep(add) -> None:
    rates = values("optimizer.learning_rate", (0.01, 0.001), "lr")
    for name, overrides in product({"rows": {}}, CELLS, rates).items():
        add(name, overrides)
