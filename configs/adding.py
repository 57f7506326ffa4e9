"""The adding problem over 100 steps: add the two marked numbers.

python -m experiments.train --config=configs/adding.py

Expected: 8 of 8 seeds reach loss below 0.001, half of all by step 275; loss at the end 0.000645
(0.000533..0.00075); 20 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "adding"
    config.task.name = "adding"
    config.task.length = 100  # time steps
    config.task.protocol = "halves"  # or anywhere, hochreiter
    config.train.steps = 2000
    config.train.target = 1e-3
    return config
