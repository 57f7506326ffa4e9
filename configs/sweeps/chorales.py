"""JSB Chorales with the sizes of Chung et al. (2014) and of Bai et al. (2018), 300k weights.

python -m experiments.sweep --config=configs/sweeps/chorales.py:JSB_Chorales.mat
"""

from ml_collections import ConfigDict

from configs import piano
from configs.variants import Overrides, Variants, product, values

UNITS = {"vanilla": 100, "gru": 46, "lstm": 36}  # about 20,000 weights each
LARGE = 300_000
RATES = {"small": (0.01, 0.003), "large": (0.003,)}


def get_config(path: str = "") -> ConfigDict:
    config = piano.get_config(path)
    config.name = "chorales"
    config.train.steps = 3000
    config.train.log_every = 100
    config.train.checkpoint_every = 500
    return config


def sweep(add) -> None:
    compare(add, LARGE, {"train.steps": 1000})


def compare(add, large: int, budget: Overrides) -> None:
    """Adds the three cells at both sizes.

    Args:
      add: the function that `sweep` is given.
      large: the number of parameters of the large models, which are trained with fewer seeds.
      budget: overrides for the large models.
    """
    cells: Variants = {cell: {"model.cell": cell} for cell in UNITS}
    rates = {size: values("optimizer.learning_rate", RATES[size], "lr") for size in RATES}
    for name, overrides in product({"small": {}}, cells, rates["small"]).items():
        add(name, overrides | {"model.hidden_sizes": (UNITS[overrides["model.cell"]],)})
    few = {"population.seeds": 4, "train.batch_size": 16} | budget
    for name, overrides in product({"large": few}, cells, rates["large"]).items():
        add(name, overrides, parameters=large)
