"""Reviews of real sentences: the last, or the first, is the verdict, all others say nothing of it.

python -m experiments.sweep --config=configs/sweeps/verdicts.py:reviews.jsonl

`python -m scripts.reviews` writes the file. With more sentences of plot, a verdict at the start has
to be kept for longer, and one at the end to be told from more words.
"""

from ml_collections import ConfigDict

from configs.sweeps import sentiment
from configs.variants import Overrides, Variants

PLOTS = (0, 2, 5, 10, 20)  # sentences
PLACES = ("end", "start")
SENTENCE, VERDICT = 25, 64  # the most words of a sentence of the plot, and of a verdict


def get_config(path: str = "") -> ConfigDict:
    config = sentiment.get_config(path)
    config.name = "verdicts"
    config.task.label_column = "label"
    config.task.text_column = "end-0"
    config.task.split_column = "split"
    config.task.threshold = None
    config.model.regularizer.input_dropout = 0.5
    config.optimizer.learning_rate = 0.003
    config.population.seeds = 4
    config.train.batch_size = 32
    return config


def cells(memory: float) -> Variants:
    return {
        "gru": {"model.cell": "gru"},
        "gru_chrono": {"model.cell": "gru", "model.chrono_max": memory},
        "lstm": {"model.cell": "lstm"},
        "lstm_chrono": {"model.cell": "lstm", "model.chrono_max": memory},
        "vanilla": {"model.cell": "vanilla"},
    }


def sweep(add) -> None:
    for count in PLOTS:
        length = count * SENTENCE + VERDICT
        for place in PLACES if count else PLACES[:1]:
            here: Overrides = {"task.text_column": f"{place}-{count}", "task.length": length}
            for name, changes in cells(float(length)).items():
                add(f"{place}{count}-T{length}-{name}-lr0.003", here | changes)
