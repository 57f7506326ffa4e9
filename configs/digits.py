"""Handwritten digits, read one pixel per step: 64 steps for 8x8 pixels, 784 for 28x28.

python -m experiments.train --config=configs/digits.py
python -m experiments.train --config=configs/digits.py --config.task.source=28x28
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.collected()
    config.name = "digits"
    config.task.name = "digits"
    config.task.source = "8x8"  # or 28x28
    config.task.permuted = False  # pixels in a fixed random order
    config.optimizer.learning_rate = 3e-3
    config.train.steps = 3000
    config.train.log_every = 100
    config.train.checkpoint_every = 1000
    config.train.target_metric = "accuracy"
    return config
