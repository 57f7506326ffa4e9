"""JSB Chorales, with Chung et al.'s (2014) sizes and Bai et al.'s (2018): 300,000 weights.

python -m experiments.sweep --config=configs/sweeps/chorales.py:JSB_Chorales.mat
"""

from ml_collections import ConfigDict

from configs import piano
from configs.variants import Variants, product, values

UNITS = {"vanilla": 100, "gru": 46, "lstm": 36}  # about 20,000 weights each
LARGE = 300_000
SLOWER = values("optimizer.learning_rate", (0.001,), "lr")


def get_config(path: str = "") -> ConfigDict:
    config = piano.get_config(path)
    config.name = "chorales"
    return config


def sweep(add) -> None:
    compare(add, LARGE)


def compare(add, large: int) -> None:
    """The three cells at both sizes; of the large ones fewer seeds and steps."""
    rates = values("optimizer.learning_rate", (0.01, 0.001), "lr")
    cells: Variants = {cell: {"model.cell": cell} for cell in UNITS}
    for name, overrides in product({"small": {}}, cells, rates).items():
        add(name, overrides | {"model.hidden_sizes": (UNITS[overrides["model.cell"]],)})
    few = {"population.seeds": 4, "train.steps": 500, "train.batch_size": 16}
    for name, overrides in product({"large": few}, cells, SLOWER).items():
        add(name, overrides, parameters=large)
