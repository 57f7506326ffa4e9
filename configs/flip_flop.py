"""The flip-flop language: repeat the bit written last, over 100 steps, most of them to be ignored.

python -m experiments.train --config=configs/flip_flop.py

Expected: 8 of 8 seeds reach accuracy above 0.999, half of all by step 50; accuracy at the end 1
(1..1); 10 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "flip_flop"
    config.task.name = "flip_flop"
    config.task.length = 100  # time steps
    config.task.ignore = 0.8  # share of the steps that are to be ignored
    config.train.steps = 1000
    config.train.target_metric = "accuracy"
    config.train.target = 0.999
    return config
