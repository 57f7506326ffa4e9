"""The cells of configs/gradients.py, smaller and trained on adding: what does training change?

python -m experiments.sweep --config=configs/sweeps/gradients.py
"""

from ml_collections import ConfigDict

from configs import adding, gradients

LENGTH = 100


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.name = "gradients_trained"
    config.task.length = LENGTH
    config.population.seeds = 16
    return config


def sweep(add) -> None:
    for name, overrides in gradients.cells(float(LENGTH)).items():
        add(name, overrides)
