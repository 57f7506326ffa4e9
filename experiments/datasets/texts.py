"""Texts with a label each, as tokens."""

import collections
import re
from collections.abc import Callable

import numpy as np

from experiments.datasets.labelled import read_labelled, said
from experiments.datasets.reading import example, imported
from gru_jax import FieldError, Task, fields
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION, LabelledSequences

PAD, UNKNOWN = 0, 1  # tokens that are not words
WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def text(
    path: str = "",
    dataset: str = "",
    unit: str = "word",
    vocabulary: int = 10_000,
    length: int = 200,
) -> Task:
    """Labelled texts, from a file or from Hugging Face.

    A fixed random tenth of the texts validates, and another tests, unless the data set has its own
    test split. The vocabulary holds the most frequent words, or characters, of "train"; all
    others become the token "unknown". Only the first `length` tokens of a text are read.

    Args:
      path: a file with lines of LABEL, a tab and the text and without a header, or JSON lines with
        "label" and "text".
      dataset: a name that `datasets.load_dataset` knows, instead of a path.
      unit: "word" (lower case; punctuation marks are words) or "character".
      vocabulary: the number of different tokens, including padding and unknown.
      length: the largest number of tokens per text.
    """
    fields.one_of("unit", unit, ("word", "character"))
    fields.integer("vocabulary", vocabulary, 3)
    fields.integer("length", length, 1)
    if path and dataset:
        raise FieldError("dataset", dataset, "left out if a path is given")
    if not (path or dataset):
        raise FieldError("path", path, "the path of a file, unless dataset is given")
    parts = _hugging_face(dataset) if dataset else _split(read_labelled(path))
    names = sorted({label for rows in parts.values() for label, _ in rows})
    source = ("path", path) if path else ("dataset", dataset)
    if len(names) < 2:
        raise FieldError(*source, f"texts with at least two labels: all have {names}")
    if (count := len({words for rows in parts.values() for _, words in rows})) < 10:
        raise FieldError(*source, f"at least ten different texts: it has {count}")
    cut: Callable[[str], list[str]] = list if unit == "character" else _words
    tokens = {split: [cut(words)[:length] for _, words in rows] for split, rows in parts.items()}
    counts = collections.Counter(word for words in tokens[TRAIN] for word in words)
    known = {word: 2 + place for place, (word, _) in enumerate(counts.most_common(vocabulary - 2))}
    splits = {
        split: _padded(
            [[known.get(word, UNKNOWN) for word in words] for words in tokens[split]],
            [names.index(label) for label, _ in rows],
            length,
        )
        for split, rows in parts.items()
    }
    return LabelledSequences(
        length,
        splits,
        kinds=2 + len(known),
        classes=len(names),
        tokens=True,
        token_names=("", "?", *known),
    )


def _words(words: str) -> list[str]:
    return WORD.findall(words.lower())


def _split(rows: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """A fixed random tenth tests, and another validates. Equal texts stay together."""
    texts = sorted({words for _, words in rows})
    order = np.random.default_rng(0).permutation(len(texts))
    tenth = max(len(texts) // 10, 1)
    place = dict(zip((texts[i] for i in order), range(len(texts)), strict=True))
    parts: dict[str, list[tuple[str, str]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for row in rows:
        rank = place[row[1]] // tenth
        parts[{0: TEST, 1: VALIDATION}.get(rank, TRAIN)].append(row)
    return parts


def _hugging_face(name: str) -> dict[str, list[tuple[str, str]]]:
    """The "text" and "label" columns of a data set; a missing test split is taken from "train"."""
    library = imported("datasets", "datasets", "dataset", name)
    try:
        found = library.load_dataset(name)
        columns = {
            split: [(row["label"], row["text"]) for row in found[split]]
            for split in (TRAIN, TEST)
            if split in found or split == TRAIN
        }
    except Exception as error:  # the network, the name or its columns
        allowed = f'a data set with "text" and "label" ({type(error).__name__}: {error})'
        raise FieldError("dataset", name, allowed) from None
    rows = {
        split: [
            (
                said("dataset", name, f"row {number} of {split}", label),
                said("dataset", name, f"row {number} of {split}", words),
            )
            for number, (label, words) in enumerate(both)
        ]
        for split, both in columns.items()
    }
    parts = _split(rows[TRAIN])
    if TEST not in rows:
        return parts
    unknown = {label for label, _ in rows[TEST]} - {label for label, _ in rows[TRAIN]}
    if unknown:
        allowed = f'a data set whose labels are all in "train": {min(unknown)!r} is in "test" only'
        raise FieldError("dataset", name, allowed)
    return {TRAIN: parts[TRAIN] + parts[TEST], VALIDATION: parts[VALIDATION], TEST: rows[TEST]}


def _padded(tokens: list[list[int]], labels: list[int], length: int) -> Example:
    lengths = np.array([len(row) for row in tokens], np.int32)
    inputs = np.full((len(tokens), length), PAD, np.int32)
    for row, kept in zip(inputs, tokens, strict=True):
        row[: len(kept)] = kept
    return example(inputs, labels, lengths)
