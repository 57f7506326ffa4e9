"""Nottingham tunes with the sizes of Chung et al. (2014) and of Bai et al. (2018), 1M weights.

python -m experiments.sweep --config=configs/sweeps/nottingham.py:Nottingham.mat
"""

from ml_collections import ConfigDict

from configs import piano
from configs.sweeps.chorales import compare

LARGE = 1_000_000


def get_config(path: str = "") -> ConfigDict:
    config = piano.get_config(path)
    config.name = "nottingham"
    config.task.window = 100
    config.train.steps = 4000
    config.train.log_every = 500  # the validation split has tunes of a thousand steps
    config.train.checkpoint_every = 500
    config.optimizer.schedule = "cosine"
    config.optimizer.decay_steps = config.train.steps
    return config


def sweep(add) -> None:
    compare(add, LARGE, {"train.steps": 2000, "optimizer.decay_steps": 2000})
