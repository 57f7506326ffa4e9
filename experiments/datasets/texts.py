"""Texts with a label each, as tokens."""

import collections
import functools
import hashlib
import re
import sys
import unicodedata
from collections.abc import Callable

import numpy as np

from experiments.datasets.labelled import SPLITS, Columns, checked, read_split
from experiments.datasets.reading import example, imported
from gru_jax import FieldError, Task, fields
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION, LabelledSequences

PAD, UNKNOWN = 0, 1  # tokens that are not words
NAME_OF_UNKNOWN = "(unknown)"  # "?" may be a word
WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")


def text(
    path: str = "",
    dataset: str = "",
    unit: str = "word",
    vocabulary: int = 10_000,
    min_count: int = 1,
    length: int = 200,
    label_column: str = "",
    text_column: str = "",
    split_column: str = "",
    threshold: float | None = None,
) -> Task:
    """Labelled texts, from a file or from Hugging Face.

    A tenth of the texts validates, and another tests, unless the data set has its own test split:
    those whose words have the smallest hashes, so that equal texts stay together and a few more
    texts move few of the others. The vocabulary holds the most frequent words, or characters, of
    "train"; all others become the token "unknown". Only the first `length` tokens of a text are
    read.

    Args:
      path: a file with lines of LABEL, a tab and the text and without a header, or with columns
        that are named below; values separated by commas, if it ends in .csv; or JSON lines.
      dataset: a name that `datasets.load_dataset` knows, instead of a path.
      unit: "word" (lower case; punctuation marks are words) or "character".
      vocabulary: the number of different tokens, including padding and unknown.
      min_count: words that occur less often in "train" are unknown. With 1 and a vocabulary that
        holds all of its words, nothing there is unknown, and the token for it is not learned.
      length: the largest number of tokens per text.
      label_column, text_column: names in the file's first row, or numbers of columns, from "1", of
        a file without such a row; of JSON lines and of a data set the names of fields.
      split_column: likewise, of a file's column that says "train", "validation" or "test".
      threshold: labels are ratings; those above it are "positive", all others "negative".
    """
    fields.one_of("unit", unit, ("word", "character"))
    fields.integer("vocabulary", vocabulary, 3)
    fields.integer("min_count", min_count, 1)
    fields.integer("length", length, 1)
    if path and dataset:
        raise FieldError("dataset", dataset, "left out if a path is given")
    if not (path or dataset):
        raise FieldError("path", path, "the path of a file, unless dataset is given")
    if dataset and split_column:
        raise FieldError("split_column", split_column, "left out: a data set has splits")
    columns = Columns(label_column, text_column, split_column, threshold)
    parts = _hugging_face(dataset, columns) if dataset else _file(path, columns)
    names = sorted({label for rows in parts.values() for label, _ in rows})
    source = ("path", path) if path else ("dataset", dataset)
    if len(names) < 2:
        raise FieldError(*source, f"texts with at least two labels: all have {names}")
    if (count := len({_told(words) for rows in parts.values() for _, words in rows})) < 10:
        raise FieldError(*source, f"at least ten different texts: it has {count}")
    trained = {label for label, _ in parts[TRAIN]}
    if unknown := {*names} - trained:
        where = next(split for split, rows in parts.items() if min(unknown) in dict(rows))
        allowed = f'texts whose labels are all in "train": {min(unknown)!r} is in "{where}" only'
        raise FieldError(*source, allowed)
    cut: Callable[[str], list[str]] = list if unit == "character" else words_of
    tokens = {split: [cut(words)[:length] for _, words in rows] for split, rows in parts.items()}
    counts = collections.Counter(word for words in tokens[TRAIN] for word in words)
    frequent = counts.most_common(vocabulary - 2)
    kept = [word for word, count in frequent if count >= min_count]
    known = {word: 2 + place for place, word in enumerate(kept)}
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
        token_names=("", NAME_OF_UNKNOWN, *known),
    )


def unlearned(task: Task) -> str:
    """What to tell where validation has unknown words and training none; nothing elsewhere."""
    if not isinstance(task, LabelledSequences) or task.token_names[1:2] != (NAME_OF_UNKNOWN,):
        return ""
    inputs = {split: np.asarray(rows.inputs) for split, rows in task.splits.items()}
    here = inputs[VALIDATION]
    share = float(np.mean(here[here != PAD] == UNKNOWN))
    if not share or (inputs[TRAIN] == UNKNOWN).any():
        return ""
    return (
        f"no word of the training texts is unknown, and {share:.1%} of those of validation are: "
        "what they mean is not learned; config.task.min_count=2 makes rare words unknown"
    )


def words_of(text: str) -> list[str]:
    """The tokens of unit="word"."""
    text = unicodedata.normalize("NFC", text.lower())
    return (WORD if text.isascii() else _word()).findall(text)


@functools.cache
def _word() -> re.Pattern[str]:
    """As `WORD`, with the marks that letters of many scripts bear, which are no \\w themselves."""
    every = map(chr, range(sys.maxunicode + 1))
    marks = re.escape("".join(each for each in every if unicodedata.category(each)[0] == "M"))
    letter = rf"(?:\w[{marks}]*)"
    return re.compile(rf"{letter}+(?:'{letter}+)?|[^\w\s]")


def _told(text: str) -> str:
    """Its words alone, by which texts are equal."""
    return " ".join(words_of(text))


def _file(path: str, columns: Columns) -> dict[str, list[tuple[str, str]]]:
    """The texts of a file, by its own split if it has one."""
    rows = read_split(path, columns)
    if not columns.split:
        return split_texts([row for _, row in rows])
    parts = {name: [row for split, row in rows if split == name] for name in SPLITS}
    if empty := [name for name, found in parts.items() if not found]:
        raise FieldError("path", path, f"rows for each of {', '.join(SPLITS)}: none for {empty[0]}")
    return parts


def split_texts(rows: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """A fixed tenth tests, and another validates. Texts with equal words stay together."""
    words = [_told(text) for _, text in rows]
    order = sorted(
        {*words}, key=lambda each: hashlib.sha256(each.encode("utf-8", "surrogatepass")).digest()
    )
    tenth = max(len(order) // 10, 1)
    place = {each: rank // tenth for rank, each in enumerate(order)}
    parts: dict[str, list[tuple[str, str]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for row, each in zip(rows, words, strict=True):
        parts[{0: TEST, 1: VALIDATION}.get(place[each], TRAIN)].append(row)
    return parts


def _hugging_face(name: str, columns: Columns) -> dict[str, list[tuple[str, str]]]:
    """The labels and texts of a data set; a missing test split is taken from "train"."""
    library = imported("datasets", "datasets", "dataset", name)
    label, text = columns.label or "label", columns.text or "text"
    try:
        found = library.load_dataset(name)
        values = {
            split: [(row[label], row[text]) for row in found[split]]
            for split in (TRAIN, TEST)
            if split in found or split == TRAIN
        }
    except Exception as error:  # the network, the name or its columns
        allowed = f'a data set with "{text}" and "{label}" ({type(error).__name__}: {error})'
        raise FieldError("dataset", name, " ".join(allowed.split())) from None
    rows = {
        split: [
            checked("dataset", name, f"row {number} of {split}", columns.threshold, *both)
            for number, both in enumerate(pairs)
        ]
        for split, pairs in values.items()
    }
    parts = split_texts(rows[TRAIN])
    if TEST not in rows:
        return parts
    return {TRAIN: parts[TRAIN] + parts[TEST], VALIDATION: parts[VALIDATION], TEST: rows[TEST]}


def _padded(tokens: list[list[int]], labels: list[int], length: int) -> Example:
    lengths = np.array([len(row) for row in tokens], np.int32)
    inputs = np.full((len(tokens), length), PAD, np.int32)
    for row, kept in zip(inputs, tokens, strict=True):
        row[: len(kept)] = kept
    return example(inputs, labels, lengths)
