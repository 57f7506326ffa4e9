"""Was it good? Reviews of 100 words in which only the verdict counts, and the plot misleads.

python -m experiments.train --config=configs/verdict.py
python -m experiments.train --config=configs/verdict.py --config.task.where=start \\
    --config.model.chrono_max=100.0

Expected: 8 of 8 seeds reach accuracy above 0.99, half of all by step 50; accuracy at the end 1
(1..1); 9 s on 2 CPU cores. With --config.task.where=start --config.model.chrono_max=100.0: 8 of
8 seeds reach accuracy above 0.99, half of all by step 50; accuracy at the end 1 (1..1); 9 s on
2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "verdict"
    config.task.name = "verdict"
    config.task.length = 100  # words
    config.task.where = "end"  # of the verdict: end or start
    config.train.steps = 1000
    config.train.target_metric = "accuracy"
    config.train.target = 0.99
    return config
