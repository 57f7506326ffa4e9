"""Comparing two means: which of two people does more push-ups in 30 days; order does not matter.

python -m experiments.train --config=configs/mean_comparison.py

Expected: 8 of 8 seeds reach accuracy above 0.98, half of all by step 650; accuracy at the end
0.985 (0.982..0.988); 12 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "mean_comparison"
    config.task.name = "mean_comparison"
    config.task.length = 30  # days
    config.optimizer.schedule = "cosine"
    config.train.steps = 1000
    config.train.target_metric = "accuracy"
    config.train.target = 0.98
    return config
