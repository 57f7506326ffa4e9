"""Sentiment of film reviews: models that only count words, beside the sweep's networks.

python -m scripts.paper.sentiment FILE    the file of configs/sweeps/sentiment.py ->
                                          results/sentiment_counts.json
"""

import functools
import json
import sys
from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from configs.sweeps import sentiment
from experiments.datasets.labelled import Columns, read_labelled
from experiments.datasets.sources import digest_of
from experiments.datasets.texts import WORD, split_texts
from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_json
from gru_jax.streams import TEST, TRAIN, VALIDATION
from scripts.paper import pages, published, results
from scripts.paths import ROOT

SWEEP = "sentiment"
MEASURED = ROOT / "results" / "sentiment_counts.json"
STRENGTHS = (0.1, 0.3, 1.0, 3.0)  # of logistic regression: the inverse of its penalty
KINDS = {"words": (1, 1), "words and pairs of words": (1, 2)}


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("file", metavar="FILE")
    return guarded(lambda: measure(parser.parse_args().file))


def measure(path: str) -> int:
    """Fits logistic regressions to counts of words; the penalty is chosen by validation.

    Raises:
      RunError: the code is not committed.
    """
    made = environment()
    if made["modified"] or not made["commit"]:
        raise RunError("commit your changes first: results name the commit they are of")
    task = sentiment.get_config().task
    columns = Columns(task.label_column, task.text_column, threshold=task.threshold)
    parts = split_texts(read_labelled(path, columns))
    labels = {name: np.array([label for label, _ in rows]) for name, rows in parts.items()}
    texts = {name: [text for _, text in rows] for name, rows in parts.items()}
    values, counts = np.unique(labels[TRAIN], return_counts=True)
    judged = (VALIDATION, TEST)
    share = lambda split: float((labels[split] == values[counts.argmax()]).mean())
    found: dict[str, dict[str, float]] = {"majority": {split: share(split) for split in judged}}
    for kind, together in KINDS.items():
        counter = CountVectorizer(token_pattern=WORD.pattern, ngram_range=together)
        counted = {TRAIN: counter.fit_transform(texts[TRAIN])}
        counted |= {split: counter.transform(texts[split]) for split in judged}
        fits = [
            LogisticRegression(C=strength, max_iter=2000).fit(counted[TRAIN], labels[TRAIN])
            for strength in STRENGTHS
        ]
        best = max(fits, key=lambda fit: fit.score(counted[VALIDATION], labels[VALIDATION]))
        found[kind] = {split: best.score(counted[split], labels[split]) for split in judged}
        found[kind] |= {"C": best.C, "weights": counted[TRAIN].shape[1] + 1}
    sizes = {name: len(rows) for name, rows in parts.items()}
    packages = made["packages"] | {"scikit-learn": version("scikit-learn")}
    kept = {"commit": made["commit"], "python": made["python"], "packages": packages}
    write_json(MEASURED, {"found": found, "sizes": sizes, "sha256": digest_of(path), "made": kept})
    return 0


@functools.cache
def load() -> dict[str, Any]:
    return json.loads(MEASURED.read_text())


def table() -> str:
    """Everything on the same split, by the share of test sentences that it judges right."""
    lines = [
        "| model | weights | rate | validation: mean | test: mean (95 % interval) |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, each in load()["found"].items():
        told = name if "weights" not in each else f"logistic regression, {name}"
        lines.append(
            f"| {told} | {each.get('weights', 0):,} | | {each[VALIDATION]:.1%} | {each[TEST]:.1%} |"
        )
    for name, title in results.variants(SWEEP).items():
        (best,) = (each for (_, variant), each in chosen().items() if variant == name)
        mean, low, high = published.interval(per_seed(best, "test"))
        lines.append(
            f"| {title} | {best.row['parameters']:,} | {best.rate:g} "
            f"| {np.mean(per_seed(best, 'eval')):.1%} | {mean:.1%} ({low:.1%}..{high:.1%}) |"
        )
    sizes, made = load()["sizes"], load()["made"]
    lines += [
        "",
        f"{sizes[TRAIN]:,} sentences to train, {sizes[VALIDATION]:,} to validate, {sizes[TEST]:,} "
        f"to test. Logistic regression: `python -m scripts.paper.sentiment FILE` at commit "
        f"{made['commit'][:8]}, {pages.made_with(made)}; its penalty is chosen by validation from "
        f"C = {', '.join(f'{each:g}' for each in STRENGTHS)}.",
        "",
        results.provenance(SWEEP),
    ]
    return "\n".join(lines)


def chosen() -> dict[tuple[tuple[str, int], str], results.Result]:
    """For each cell the rate at which the mean accuracy in validation is the best."""
    found = sorted(results.load(SWEEP), key=lambda each: np.mean(per_seed(each, "eval")))
    return {(each.problem, each.variant): each for each in found}


def per_seed(result: results.Result, split: str) -> list[float]:
    """The accuracy of each seed's best model, by validation: of "eval" or "test"."""
    found: list[float] = result.row["summary"][split]["accuracy"]["per_seed"]
    return found


if __name__ == "__main__":
    sys.exit(main())
