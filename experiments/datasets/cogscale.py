"""CogScale: fourteen small tasks of memory in three sizes, with data of their own for each seed."""

import functools
import sys
import types
from typing import Any

import numpy as np

from experiments.datasets.reading import imported
from gru_jax import Task, fields
from gru_jax.tasks.base import UNASKED, Example
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from gru_jax.tasks.seeded import AskedClasses, AskedLabels, AskedValues, SeededDataset

SPLITS = {TRAIN: "train", VALIDATION: "valid", TEST: "test"}
KINDS: dict[str, type[SeededDataset]] = {
    "classification": AskedClasses,
    "multi_classification": AskedLabels,
    "regression": AskedValues,
}
MASK = -100.0  # of the package, where nothing is asked
SEEDS_KEPT = 32


def cogscale(problem: str = "selective_copy", difficulty: str = "medium") -> Task:
    """A task of the package `cogscale` (2026), whose data depend on the seed.

    Args:
      problem: one of the package's fourteen, such as "selective_copy".
      difficulty: "small" (100 examples to train, 20 to validate, 100 to test), "medium" (1,000,
        200 and 1,000) or "large" (ten times as many).
    """
    package = imported("cogscale", "cogscale", "problem", problem)
    fields.one_of("problem", problem, package.tasks)
    fields.one_of("difficulty", difficulty, ("small", "medium", "large"))
    generate, params, category = (
        getattr(package.evals, f"cogscale_{difficulty}")[problem][name]
        for name in ("fct", "params", "category")
    )
    kind = KINDS[category]
    _never_enumerate(sys.modules[package.evals.generate_csl.__module__])

    @functools.lru_cache(maxsize=SEEDS_KEPT)
    def splits(seed: int) -> dict[str, Example]:
        arrays = generate(**{**params, "seed": seed})
        part = lambda name: _example(kind, arrays[f"X_{name}"], arrays[f"Y_{name}"])
        return {split: part(name) for split, name in SPLITS.items()}

    numbers = {f"n_{name}": params.get(f"n_{name}", 1) for name in SPLITS.values()}
    one = generate(**{**params, "seed": 0, **{name: 1 for name in numbers if name in params}})
    _, length, inputs = one["X_train"].shape
    sizes = {"length": length, "inputs": inputs, "outputs": one["Y_train"].shape[-1]}
    counts = {split: numbers[f"n_{name}"] for split, name in SPLITS.items()}
    return kind.of(splits, **sizes, **counts)


@functools.cache  # so that it is replaced only once
def _never_enumerate(module: Any) -> None:
    """Makes the package look its sentences about two situations up, each when it is drawn.

    It enumerates all of them anew for each seed, which takes half a minute and two gigabytes.
    """
    kept: dict[str, types.SimpleNamespace] = {}
    one_situation = sys.modules[module.TwoSituationCSLDataset.__module__].OneSituationCSLDataset

    def once(**options: Any) -> types.SimpleNamespace:
        if repr(options) not in kept:
            one = one_situation(**options)
            kept[repr(options)] = types.SimpleNamespace(X=_Sentences(one), Y=_Labels(one))
        return kept[repr(options)]

    module.TwoSituationCSLDataset = once


class _Pairs:
    """A row for each pair of sentences about one situation, in the order of the package."""

    def __init__(self, one: Any, *shape: int):
        self.one = one
        self.count = len(one.sentences)
        self.shape = (self.count**2, *shape)


class _Sentences(_Pairs):
    """Their words, one-hot, with zeros before the first.

    The package numbers words in the order of a set, another one in each process. Here it is that of
    the alphabet, so that a run is resumed and a model is judged with the words that it has learned.
    """

    def __init__(self, one: Any):
        self.said = [sentence.split() for sentence in one.sentences]
        self.words = sorted({"and"}.union(*self.said))
        super().__init__(one, 2 * max(map(len, self.said)) + 1, len(self.words))

    def __getitem__(self, index: int) -> np.ndarray:
        first, second = divmod(index, self.count)
        places = [self.words.index(w) for w in (*self.said[first], "and", *self.said[second])]
        row = np.zeros(self.shape[1:])
        row[range(len(row) - len(places), len(row)), places] = 1
        return row


class _Labels(_Pairs):
    """What is said, of both situations."""

    def __init__(self, one: Any):
        super().__init__(one, 2 * len(one.Y[0]))

    def __getitem__(self, index: int) -> np.ndarray:
        first, second = divmod(index, self.count)
        return np.concatenate([self.one.Y[first], self.one.Y[second]])


def _example(kind: type[SeededDataset], inputs: Any, targets: Any) -> Example:
    asked = (targets != MASK).any(axis=-1)
    if kind is AskedClasses:
        wanted: Any = np.where(asked, targets.argmax(axis=-1), UNASKED).astype(np.int32)
    elif kind is AskedLabels:
        wanted = np.where(asked[..., None], targets, UNASKED).astype(np.int32)
    else:
        wanted = np.where(asked[..., None], targets, np.nan).astype(np.float32)
    small = np.isin(inputs, (0, 1)).all()
    inputs = inputs.astype(np.int8 if small else np.float32)
    return Example(inputs, wanted)
