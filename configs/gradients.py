"""How untrained cells carry a gradient back over 400 steps, by cell and initialisation.

python -m experiments.gradients --config=configs/gradients.py
"""

from ml_collections import ConfigDict

from configs import adding
from configs.variants import Variants, product

LENGTH = 400
SCALES: Variants = {
    "0.5": {"model.vanilla.scale": 0.5},
    "1": {"model.vanilla.scale": 1.0},
    "1.5": {"model.vanilla.scale": 1.5},
}


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.name = "gradients"
    config.task.length = LENGTH
    config.model.hidden_sizes = (128,)
    config.population.seeds = 16
    return config


def cells(memory: float) -> Variants:
    """The cells and initialisations that are compared.

    Args:
      memory: the longest memory, in steps, for which "chrono" initialises biases.
    """
    vanilla = {
        activation: {"model.cell": "vanilla", "model.vanilla.activation": activation}
        for activation in ("tanh", "relu")
    }
    lstm, gru = {"model.cell": "lstm"}, {"model.cell": "gru"}
    return {
        **product(vanilla, SCALES),
        "lstm-bias0": lstm | {"model.keeping_bias": 0.0},
        "lstm-bias1": lstm | {"model.keeping_bias": 1.0},
        "lstm-chrono": lstm | {"model.chrono_max": memory},
        "gru-bias0": gru | {"model.keeping_bias": 0.0},
        "gru-bias1": gru | {"model.keeping_bias": 1.0},
        "gru-chrono": gru | {"model.chrono_max": memory},
        "gru-open": gru | {"model.gru.reset": "open"},
        "gru-before": gru | {"model.gru.reset_after": False},
    }


def sweep(add) -> None:
    for name, overrides in cells(float(LENGTH)).items():
        add(name, overrides)
