"""Temporal order: in which order two symbols appeared, over 100 steps (task 6a).

python -m experiments.train --config=configs/temporal_order.py
python -m experiments.train --config=configs/temporal_order.py --config.task.relevant=3

Expected: 8 of 8 seeds reach accuracy above 0.99, half of all by step 125; accuracy at the end 1
(1..1); 14 s on 2 CPU cores. With --config.task.relevant=3: 8 of 8 seeds reach accuracy above
0.99, half of all by step 150; accuracy at the end 1 (1..1); 15 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "temporal_order"
    config.task.name = "temporal_order"
    config.task.length = 100  # time steps; up to a tenth more
    config.task.relevant = 2  # symbols in the order: 2 (task 6a) or 3 (task 6b)
    config.model.chrono_max = 110.0  # with the usual start hardly a seed learns it
    config.train.steps = 2000
    config.train.target_metric = "accuracy"
    config.train.target = 0.99
    return config
