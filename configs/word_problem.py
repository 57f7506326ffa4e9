"""The word problem: the product of all elements of a group so far, at each of 20 steps.

python -m experiments.train --config=configs/word_problem.py

Expected: 8 of 8 seeds reach accuracy above 0.99, half of all by step 1,525; accuracy at the end
0.993 (0.991..0.997); 21 s on 2 CPU cores.
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.get_config()
    config.name = "word_problem"
    config.task.name = "word_problem"
    config.task.length = 20  # elements
    config.task.group = "S4"  # or S3, S5, A4, A5, A4xZ5, Z60
    config.train.steps = 3000
    config.train.target_metric = "accuracy"
    config.train.target = 0.99
    return config
