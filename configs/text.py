"""The classification of texts. A file has a label, a tab and a text on each line, or JSON lines.

Each JSON line is an object with the fields "label" and "text". Other files say which columns they
are, by name or, where the first row has no names, by number; ratings become two labels by a
threshold.

python -m experiments.train --config=configs/text.py:reviews.tsv
python -m experiments.train --config=configs/text.py:reviews.csv \\
  --config.task.label_column=stars --config.task.text_column=review --config.task.threshold=3
"""

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import common


def get_config(path: str = "") -> ConfigDict:
    config = common.collected()
    config.name = "text"
    config.task.name = "text"
    config.task.path = path
    config.task.dataset = ""  # a data set's name at Hugging Face, instead of a file
    config.task.label_column = ""  # a name in the first row, or a number; or it is the first
    config.task.text_column = ""  # likewise; or it is all that follows the first
    config.task.split_column = ""  # likewise; it says train, validation or test
    config.task.threshold = placeholder(float)  # labels are ratings; those above it are positive
    config.task.unit = "word"  # or character
    config.task.vocabulary = 10_000  # how many of the most frequent units have a token
    config.task.length = 200  # how many tokens of a text are read
    config.model.encoder = "embedding"
    config.optimizer.learning_rate = 1e-3
    config.train.target_metric = "accuracy"
    return config
