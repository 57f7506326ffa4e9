"""Nottingham tunes with the sizes of Chung et al. (2014) and of Bai et al. (2018), 1M weights.

python -m experiments.sweep --config=configs/sweeps/nottingham.py:Nottingham.mat
"""

from ml_collections import ConfigDict

from configs import piano
from configs.sweeps.chorales import large
from configs.variants import Variants, product, values

UNITS = {"vanilla": 100, "gru": 46, "lstm": 36}  # about 20,000 weights each
RATES = (0.01, 0.003)
LARGE = 1_000_000
SLOWER = (0.001,)  # at 0.003 a vanilla RNN and a GRU were worse in validation
MORE = {"train.steps": 16_000, "optimizer.decay_steps": 16_000}


def get_config(path: str = "") -> ConfigDict:
    config = piano.get_config(path)
    config.name = "nottingham"
    # Updates are what is short here. With a state that is carried on, windows may be short, too.
    config.task.window = 50
    config.train.carry_state = True
    config.train.steps = 8000
    config.train.log_every = 1000  # the validation split has tunes of a thousand steps
    config.train.checkpoint_every = 1000
    config.optimizer.schedule = "cosine"
    config.optimizer.decay_steps = config.train.steps
    return config


def sweep(add) -> None:
    cells: Variants = {
        cell: {"model.cell": cell, "model.hidden_sizes": (units,)} for cell, units in UNITS.items()
    }
    rates = values("optimizer.learning_rate", RATES, "lr")
    for name, overrides in product({"small": {}}, cells, rates).items():
        add(name, overrides)
    large(add, LARGE, MORE, SLOWER)
