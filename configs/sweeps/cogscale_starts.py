"""CogScale, medium, 10,000 parameters: other starts of GRU and LSTM, all else as published.

The learning rate is chosen by the mean score on validation examples. To be run task by task, with
--only='selective_copy-*' and so on; docs/cogscale.md says what has been run.

python -m experiments.sweep --config=configs/sweeps/cogscale_starts.py
"""

from ml_collections import ConfigDict

from configs import cogscale
from configs.sweeps import reach
from configs.sweeps.cogscale import PROBLEMS, problem
from configs.variants import Variants, product, values

SIZE = ("medium", 10_000)
RATES = (0.01, 0.003, 0.001)
# Time steps. Who trains need not know for how long something is to be kept: a chrono start is told
# the length of the sequence, of which the last two tasks have one.
LENGTHS = {
    "selective_copy": 101,
    "simple_copy": 111,
    "sorting_problem": 41,
    "induction_heads": 100,
    "bracket_matching": 102,
    "discrete_pattern_completion": 150,
    "continuous_pattern_completion": 150,
    "associative_recall": 32,
    "adding_problem": 22,
    "cross_situation": 17,
    "discrete_postcasting": 100,
    "continuous_postcasting": 100,
    "sinus_forecasting": 900,
    "chaotic_forecasting": 900,
}


def get_config() -> ConfigDict:
    config = cogscale.get_config()
    config.name = "cogscale_starts"
    return config


def starts(memory: float) -> Variants:
    """GRU and LSTM with the start of this project, with a bias, chrono, or a refined gate."""
    cells = reach.cells(memory).items()
    gated = {name: made for name, made in cells if made["model.cell"] in ("gru", "lstm")}
    return gated | {"lstm_refined": {"model.cell": "lstm", "model.lstm.forget": "refined"}}


def sweep(add) -> None:
    difficulty, parameters = SIZE
    for name in PROBLEMS:
        here = {f"{name}-{difficulty}_{parameters}": problem(name, difficulty)}
        cells = starts(float(LENGTHS[name]))
        for trial, changes in product(
            here, cells, values("optimizer.learning_rate", RATES, "lr")
        ).items():
            add(trial, changes | {"model.start": "cell"}, parameters=parameters)
