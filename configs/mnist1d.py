"""MNIST-1D with its authors' GRU: bidirectional, 6 units, a linear readout of all 40 outputs.

python -m experiments.train --config=configs/mnist1d.py
"""

from ml_collections import ConfigDict

from configs import common


def get_config() -> ConfigDict:
    config = common.collected()
    config.name = "mnist1d"
    config.task.name = "mnist1d"
    config.task.readout = "flatten"  # the outputs of all steps; or last
    config.model.hidden_sizes = (6,)
    config.model.bidirectional = True
    config.optimizer.clip_norm = 0.0
    config.train.steps = 6000
    config.train.batch_size = 100
    config.train.log_every = 100
    config.train.checkpoint_every = 1000
    config.train.target_metric = "accuracy"
    return config
