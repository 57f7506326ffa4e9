"""The parity of all bits so far, at each of 40 steps; or the sum modulo 5, with modulus=5.

python -m experiments.train --config=configs/cumulative_sum.py
python -m experiments.train --config=configs/cumulative_sum.py --config.task.modulus=5

Expected: 8 of 8 seeds reach accuracy above 0.999, half of all by step 100; accuracy at the end
1 (1..1); 8 s on 2 CPU cores. With --config.task.modulus=5: 8 of 8 seeds reach accuracy above
0.999, half of all by step 400; accuracy at the end 1 (1..1); 12 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "cumulative_sum"
    config.task.name = "cumulative_sum"
    config.task.length = 40  # time steps
    config.task.modulus = 2  # of the sum; 2 for parity
    config.train.steps = 2000
    config.train.target_metric = "accuracy"
    config.train.target = 0.999
    return config
