"""What a text is: lines of LABEL, a tab and the text; or JSON lines with "label" and "text".

python -m experiments.train --config=configs/text.py:reviews.tsv
"""

from ml_collections import ConfigDict

from configs import common


def get_config(path: str = "") -> ConfigDict:
    config = common.collected()
    config.name = "text"
    config.task.name = "text"
    config.task.path = path
    config.task.dataset = ""  # in place of a file: a name at Hugging Face
    config.task.unit = "word"  # or character
    config.task.vocabulary = 10_000  # the most frequent ones
    config.task.length = 200  # tokens that are read of a text
    config.model.encoder = "embedding"
    config.optimizer.learning_rate = 1e-3
    config.train.target_metric = "accuracy"
    return config
