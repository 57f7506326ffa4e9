"""Piano rolls from a .mat, .npz or .json file: predict which of 88 notes sound at the next step.

python -m experiments.train --config=configs/piano.py:JSB_Chorales.mat
"""

from ml_collections import ConfigDict

from configs import common


def get_config(path: str = "") -> ConfigDict:
    config = common.collected()
    config.name = "piano"
    config.task.name = "piano"
    config.task.path = path
    config.task.window = 64  # steps of a piece in a training example; 0 for whole pieces
    config.optimizer.learning_rate = 3e-3
    config.train.steps = 1000
    config.train.batch_size = 32
    return config
