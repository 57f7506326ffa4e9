"""Every cell on adding, T = 200, and on sums modulo 5, all with about 3,000 parameters.

Adding asks for one sum across 200 steps; the sums ask at every step for a state that nothing but
all earlier inputs determine, and that no unit can hold by decaying. Rates are 0.01 and 0.003.

python -m experiments.sweep --config=configs/sweeps/zoo.py
"""

from ml_collections import ConfigDict

from configs import adding, cumulative_sum
from configs.ablations import RATES, base, overrides
from configs.common import CELLS
from configs.variants import Variants, product, values

PARAMETERS = 3000
BATCH = 32
# What differs from a cell's defaults, by name. Without a function after it, the LRU is linear from
# its inputs to its outputs.
OPTIONS: Variants = {
    "lru": {"model.cell": "lru", "model.lru.activation": "gelu"},
    "antisymmetric_gated": {"model.cell": "antisymmetric", "model.antisymmetric.gated": True},
}


def get_config() -> ConfigDict:
    config = base("zoo")
    config.train.batch_size = BATCH
    return config


def problems() -> Variants:
    far = adding.get_config()
    far.task.length = 200
    far.train.steps = 1200
    far.train.target = 1 / 60  # a tenth of the input-blind loss
    tracked = cumulative_sum.get_config()
    tracked.task.modulus = 5
    found = {"adding-T200": overrides(far), f"sum5-T{tracked.task.length}": overrides(tracked)}
    return {name: {**changes, "train.batch_size": BATCH} for name, changes in found.items()}


def cells() -> Variants:
    return {name: {"model.cell": name} for name in CELLS} | OPTIONS


def sweep(add) -> None:
    rates = values("optimizer.learning_rate", RATES, "lr")
    for trial, changes in product(problems(), cells(), rates).items():
        add(trial, changes, parameters=PARAMETERS)
