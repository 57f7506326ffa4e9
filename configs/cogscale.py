"""CogScale (Bendi-Ouis et al. 2026): one of fourteen tasks of memory, by its authors' protocol.

python -m experiments.train --config=configs/cogscale.py:selective_copy,medium
python -m experiments.train --config=configs/cogscale.py:selective_copy,medium \\
  --config.model.start=cell --config.model.chrono_max=90.0

Name the task and its size as above, since budget and patience are counted in its epochs. Each seed
has data of its own, from the package `cogscale`; those of the two forecasts are the same for all.
200 epochs at most, in batches of ten; a seed ends after ten epochs without a better score on its
validation examples, with the model that scored best. Accuracy is one minus their score; where
values are asked, the loss is the score.
"""

from ml_collections import ConfigDict

from configs import common

EXAMPLES = {"small": 100, "medium": 1000, "large": 10_000}
FORECASTS = ("sinus_forecasting", "chaotic_forecasting")  # which have one sequence
VALUES = (*FORECASTS, "continuous_postcasting", "continuous_pattern_completion")
# By default their program trains for 50; the scripts that started it for the published scores,
# which an earlier commit of their repository has, say 200.
EPOCHS = 200
PATIENCE = 10  # epochs


def get_config(argument: str = "selective_copy,medium") -> ConfigDict:
    """The argument: the task and its size, such as "selective_copy,medium"."""
    problem, _, difficulty = argument.partition(",")
    config = common.collected()
    config.name = "cogscale"
    config.task.name = "cogscale"
    config.task.problem = problem
    config.task.difficulty = difficulty or "medium"
    config.model.hidden_sizes = (50,)  # about 10,000 parameters
    config.model.start = "torch"
    config.optimizer.clip_norm = 0.0
    config.population.seeds = 10
    config.train.batch_size = 1 if problem in FORECASTS else 10
    examples = 1 if problem in FORECASTS else EXAMPLES.get(config.task.difficulty, 0)
    config.train.log_every = max(examples // config.train.batch_size, 1)  # an epoch
    config.train.checkpoint_every = 10 * config.train.log_every
    config.train.steps = EPOCHS * config.train.log_every
    config.train.patience = PATIENCE
    config.train.target_metric = "loss" if problem in VALUES else "accuracy"
    return config
