"""Cells and initialisations on adding: does the initial gradient horizon predict which cells learn?

python -m experiments.sweep --config=configs/sweeps/horizon.py
python -m experiments.gradients --config=configs/sweeps/horizon.py --workdir=runs/horizon
"""

from ml_collections import ConfigDict

from configs import adding
from configs.variants import Variants, product, values

LENGTHS = (25, 50, 100, 200, 400)


def get_config() -> ConfigDict:
    config = adding.get_config()
    config.name = "horizon"
    config.model.hidden_sizes = (32,)
    config.optimizer.learning_rate = 3e-3
    config.train.batch_size = 32
    config.train.steps = 1500
    config.train.target = 1 / 60  # a tenth of the baseline loss: then the task is learned
    return config


def cells(memory: float) -> Variants:
    vanilla, lstm, gru = ({"model.cell": cell} for cell in ("vanilla", "lstm", "gru"))
    biases = (0.0, 1.0, 3.0)
    irnn = {"model.vanilla.activation": "relu", "model.vanilla.recurrent_start": "identity"}
    return {
        **product({"vanilla": vanilla}, values("model.vanilla.scale", (0.5, 1.0, 1.5), "scale")),
        "irnn": vanilla | irnn,
        **product({"lstm": lstm}, values("model.keeping_bias", biases, "bias")),
        "lstm-chrono": lstm | {"model.chrono_max": memory},
        **product({"gru": gru}, values("model.keeping_bias", biases, "bias")),
        "gru-chrono": gru | {"model.chrono_max": memory},
    }


def sweep(add) -> None:
    for length in LENGTHS:
        here = {f"T{length}": {"task.length": length}}
        for name, overrides in product(here, cells(float(length))).items():
            add(name, overrides)
