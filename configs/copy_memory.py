"""The copy problem: repeat ten digits after a blank of 50 steps.

python -m experiments.train --config=configs/copy_memory.py

Expected: nothing yet.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "copy_memory"
    config.task.name = "copy_memory"
    config.task.length = 50  # blank steps
    config.task.protocol = "arjovsky"  # or tcn
    config.model.chrono_max = 70.0  # memories of all steps
    # Digits become exact while the rate falls.
    config.optimizer.learning_rate = 2e-2
    config.optimizer.schedule = "cosine"
    config.train.steps = 12_000
    config.train.log_every = 100
    config.train.checkpoint_every = 1000
    config.train.target_metric = "accuracy"
    config.train.target = 0.99
    return config
