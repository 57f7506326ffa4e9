"""The copy problem: repeat ten digits after a blank of 50 steps.

python -m experiments.train --config=configs/copy_memory.py
python -m experiments.train --config=configs/copy_memory.py --config.model.chrono_max=75.0

Expected: 0 of 8 seeds reach accuracy above 0.99; accuracy at the end 0.664 (0.656..0.683); 118
s on 2 CPU cores. With --config.model.chrono_max=75.0: 0 of 8 seeds reach accuracy above 0.99;
accuracy at the end 0.743 (0.732..0.802); 115 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "copy_memory"
    config.task.name = "copy_memory"
    config.task.length = 50  # blank steps
    config.task.protocol = "arjovsky"  # or tcn
    config.train.steps = 2000
    config.train.target_metric = "accuracy"
    config.train.target = 0.99
    return config
