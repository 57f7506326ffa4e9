"""Savings with compound interest over 30 years; the order of the deposits matters.

python -m experiments.train --config=configs/savings.py

Expected: 8 of 8 seeds reach loss below 1e-05, half of all by step 1,050; loss at the end
6.8e-06 (6.25e-06..8.25e-06); 14 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "savings"
    config.task.name = "savings"
    config.task.length = 30  # years
    config.task.rate = 0.1  # of interest
    config.optimizer.schedule = "cosine"
    config.train.steps = 2000
    config.train.target = 1e-05
    return config
