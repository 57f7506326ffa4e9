"""Sentences of film reviews, positive or negative by their mean rating: five cells, two depths.

python -m experiments.sweep --config=configs/sweeps/sentiment.py:movieReviewSnippets_GroundTruth.txt

docs/text.md says where the file comes from. Its columns are a number, a rating and the sentence.
"""

from ml_collections import ConfigDict

from configs import text
from configs.variants import Variants, product, values

DROPPED: Variants = {"T60": {"model.regularizer.input_dropout": 0.5}}
CELLS: Variants = {
    "gru": {"model.cell": "gru"},
    "gru_both": {"model.cell": "gru", "model.bidirectional": True},
    "gru_two": {
        "model.cell": "gru",
        "model.hidden_sizes": (64, 64),
        "model.regularizer.dropout": 0.5,
    },
    "lstm": {"model.cell": "lstm"},
    "vanilla": {"model.cell": "vanilla"},
    "min_gru": {"model.cell": "min_gru"},
}


def get_config(path: str = "") -> ConfigDict:
    config = text.get_config(path)
    config.name = "sentiment"
    config.task.label_column = "2"
    config.task.text_column = "3"
    config.task.threshold = 0.0
    config.task.length = 60  # all but a few sentences are shorter
    config.train.steps = 2000
    config.train.patience = 10
    return config


def sweep(add) -> None:
    rates = values("optimizer.learning_rate", (0.003, 0.001), "lr")
    for name, overrides in product({"sentiment": {}}, DROPPED, CELLS, rates).items():
        add(name, overrides)
