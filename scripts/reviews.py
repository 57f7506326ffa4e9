"""Reviews in which one real sentence is the verdict, and the plot is of editorials.

python -m scripts.reviews VERDICTS PLOTS FILE    movieReviewSnippets_GroundTruth.txt and
                                                 nytEditorialSnippets_GroundTruth.txt ->
                                                 reviews.jsonl, for configs/sweeps/verdicts.py

Each line is an object with "label", "split", and a text for every place of the verdict and length
of the plot: "end-5" has the verdict after five sentences of editorials. The verdict is a sentence
of a film review, whose rating gives the label. No sentence is in two splits.
"""

import json
import sys
from pathlib import Path

import numpy as np

from configs.sweeps import sentiment, verdicts
from experiments.datasets.labelled import Columns, read_labelled
from experiments.datasets.texts import split_texts, words_of
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_text
from gru_jax import FieldError

RATED = Columns("2", "3")


def main() -> int:
    parser = Parser(__doc__)
    for name in ("VERDICTS", "PLOTS", "FILE"):
        parser.add_argument(name.lower(), metavar=name)
    given = parser.parse_args()
    return guarded(lambda: write(given.verdicts, given.plots, Path(given.file)))


def write(said: str, told: str, path: Path) -> int:
    """Draws a plot for each verdict; those of a length are the same at both places.

    Raises:
      FieldError: a file has another format, or there are too few sentences for plots.
    """
    task = sentiment.get_config().task
    rated = Columns(task.label_column, task.text_column, threshold=task.threshold)
    plots = {
        split: [text for _, text in rows if len(words_of(text)) <= verdicts.SENTENCE]
        for split, rows in split_texts(read_labelled(told, RATED)).items()
    }
    if (least := min(map(len, plots.values()))) < max(verdicts.PLOTS):
        allowed = f"a file with {max(verdicts.PLOTS)} sentences for each split: one has {least}"
        raise FieldError("PLOTS", told, allowed)
    generator, lines = np.random.default_rng(0), []
    for split, rows in split_texts(read_labelled(said, rated)).items():
        for label, verdict in rows:
            row = {"label": label, "split": split}
            for count in verdicts.PLOTS:
                places = generator.choice(len(plots[split]), count, replace=False)
                plot = [plots[split][place] for place in places]
                row[f"end-{count}"] = " ".join([*plot, verdict])
                row[f"start-{count}"] = " ".join([verdict, *plot])
            lines.append(json.dumps(row) + "\n")
    write_text(path, "".join(lines))
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
