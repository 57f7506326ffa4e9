"""Bracket counting (Dyck-1): count the open brackets at each of 60 steps.

python -m experiments.train --config=configs/bracket_counting.py

Expected: 8 of 8 seeds reach accuracy above 0.999, half of all by step 250; accuracy at the end
1 (1..1); 14 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "bracket_counting"
    config.task.name = "bracket_counting"
    config.task.length = 60  # time steps
    config.task.depth = 10  # the most brackets that may be open
    config.train.steps = 1000
    config.train.target_metric = "accuracy"
    config.train.target = 0.999
    return config
