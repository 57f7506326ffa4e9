"""JSB Chorales as in Chung et al. (2014), about 20k weights, and at Bai et al.'s (2018) 300k.

python -m experiments.sweep --config=configs/sweeps/chorales.py:JSB_Chorales.mat

`noise` trains as Chung et al. did, by RMSprop with weight noise, and `plain` without the noise.
"""

from ml_collections import ConfigDict

from configs import piano
from configs.variants import Overrides, Variants, product, values

# The cells of Chung et al.: a reset before the product, a gate that writes, and peepholes.
CHUNG: Variants = {
    "vanilla": {"model.cell": "vanilla", "model.hidden_sizes": (100,)},
    "gru": {
        "model.cell": "gru",
        "model.hidden_sizes": (46,),
        "model.gru.reset_after": False,
        "model.gru.update_gate": "write",
    },
    "lstm": {"model.cell": "lstm", "model.hidden_sizes": (36,), "model.lstm.peepholes": "all"},
}
# Their ten rates were drawn from e^-12 to e^-6. Ours begin where theirs end: updates are fewer.
RATES = (0.01, 0.005, 0.0025, 0.001)
RMSPROP: Overrides = {"optimizer.name": "rmsprop", "optimizer.beta1": 0.0, "optimizer.beta2": 0.9}
NOISE = 0.075
LARGE = 300_000


def get_config(path: str = "") -> ConfigDict:
    config = piano.get_config(path)
    config.name = "chorales"
    config.train.carry_state = True  # pieces go on from window to window, as they did there
    config.train.steps = 4000
    config.train.log_every = 100
    config.train.checkpoint_every = 500
    return config


def sweep(add) -> None:
    ways: Variants = {
        "noise": {"model.regularizer.weight_noise": NOISE},
        "plain": {"train.steps": 2000},  # without the noise, they validate best early on
    }
    rates = values("optimizer.learning_rate", RATES, "lr")
    for name, overrides in product(ways, CHUNG, rates).items():
        add(name, overrides | RMSPROP)
    large(add, LARGE, {"train.steps": 1000}, (0.003,))


def large(add, parameters: int, budget: Overrides, rates: tuple[float, ...]) -> None:
    """Adds the three cells at Bai et al.'s size, with fewer seeds, trained by Adam.

    Args:
      add: the function that `sweep` is given.
      parameters: of each model.
      budget: overrides of the number of updates.
      rates: of learning.
    """
    few: Overrides = {"population.seeds": 4, "train.batch_size": 16}
    cells: Variants = {cell: {"model.cell": cell} for cell in CHUNG}
    slower = values("optimizer.learning_rate", rates, "lr")
    for name, overrides in product({"large": {}}, cells, slower).items():
        add(name, few | budget | overrides, parameters=parameters)
