"""Data sets that are drawn anew for each seed, with questions at some of the steps."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gru_jax.axes import Array, Outputs, PerExample
from gru_jax.streams import TEST, TRAIN, VALIDATION, fold, stream
from gru_jax.tasks.base import UNASKED, Batch, Classification, Example
from gru_jax.tasks.dataset import Dataset

Splits = Mapping[str, Example]


class _Made(Mapping[str, Example]):
    """The splits of seed 0, which are made at first use."""

    def __init__(self, made: Callable[[int], Splits]):
        self._made = functools.cache(lambda: made(0))

    def __getitem__(self, name: str) -> Example:
        return self._made()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._made())

    def __len__(self) -> int:
        return len(self._made())


@dataclasses.dataclass(frozen=True, eq=False)
class SeededDataset(Dataset):
    """A data set for each seed, of which training takes one example after the other.

    An epoch is as many examples as "train" has: each of them once, in an order that is drawn anew.
    Evaluations take the whole of a split of the seed's own data, every step of which that asks
    something has the same weight.

    splits: those of seed 0, which the baseline is of; made when they are needed.
    made: the splits of any seed. Inputs may be whole numbers, to save memory.
    inputs: the number of features of a step.
    outputs: the number of classes, labels or values.
    counts: the number of examples of each split.
    """

    by_seed: ClassVar[bool] = True
    readout = "every"

    made: Callable[[int], Splits]
    inputs: int
    outputs: int
    counts: Mapping[str, int]

    @classmethod
    def of(
        cls, made: Callable[[int], Splits], *, length: int, inputs: int, outputs: int, **counts: int
    ) -> Self:
        """Nothing is made yet.

        Args:
          length: the number of steps of a training example.
        """
        return cls(length, _Made(made), made, inputs, outputs, counts)

    @property
    def input_size(self) -> int:
        return self.inputs

    @property
    def output_size(self) -> int:
        return self.outputs

    @property
    def size(self) -> int:
        return self.counts[self.judged]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(self.counts[name] for name in (VALIDATION, TEST))

    @abc.abstractmethod
    def asked(self, targets: Array) -> Array:
        """Which steps ask for something."""

    def weights(self, batch: Batch) -> PerExample:
        return self.asked(batch.targets).sum(axis=-1).astype(jnp.float32)

    def data_of(self, seeds: Sequence[int]) -> Any:
        each = [self.made(seed) for seed in seeds]
        return {
            split: jax.tree.map(lambda *arrays: np.stack(arrays), *[made[split] for made in each])
            for split in (TRAIN, self.judged)
        }

    def training_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        count = len(data[TRAIN].inputs)
        epochs, places = jnp.divmod(step * size + indices, count)
        first = step * size // count
        # A step has examples of one epoch, or also of the next ones.
        met = 1 if count % size == 0 else -(-size // count) + 1
        orders = jax.vmap(
            lambda epoch: jax.random.permutation(fold(stream(TRAIN, seed), "epoch", epoch), count)
        )(first + jnp.arange(met))
        chosen = orders[epochs - first, places]
        return _real(jax.tree.map(lambda rows: jnp.asarray(rows)[chosen], data[TRAIN]))

    def evaluation_examples(self, indices: Array, data: Any, split: Array | None = None) -> Batch:
        return _real(super().evaluation_examples(indices, data, split))


class AskedClasses(Classification, SeededDataset):
    """A class at each step that asks; targets (steps,) are `UNASKED` elsewhere.

    Baseline: the cross-entropy on the split that evaluation uses, if the frequencies of "train"
    at each step are predicted, with one more of each class.
    """

    def asked(self, targets: Array) -> Array:
        return targets != UNASKED

    @property
    def baseline_loss(self) -> float:
        seen, held = (np.asarray(each.targets) for each in (self.splits[TRAIN], self.held_out))
        classes = np.arange(self.output_size)
        counts = 1 + (seen[..., None] == classes).sum(axis=0)
        logs = np.log(counts / counts.sum(axis=-1, keepdims=True))
        found = np.take_along_axis(logs[None], held[..., None].clip(0), axis=-1)[..., 0]
        return float(-found[held != UNASKED].mean())


class AskedLabels(SeededDataset):
    """Which of several labels hold, at each step that asks; elsewhere all targets are `UNASKED`.

    Loss: the mean binary cross-entropy of the labels. Metric "accuracy": the share of labels that
    are right (p > 1/2 where the label holds). Baseline: as for classes, of each label.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")

    def asked(self, targets: Array) -> Array:
        return (targets != UNASKED).all(axis=-1)

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        each = optax.sigmoid_binary_cross_entropy(
            outputs, batch.targets.clip(0).astype(outputs.dtype)
        )
        return _mean(each.mean(axis=-1), self.asked(batch.targets))

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        right = ((outputs >= 0) == (batch.targets > 0)).mean(axis=-1)
        accuracy = _mean(right, self.asked(batch.targets))
        return {"loss": self.loss(outputs, batch), "accuracy": accuracy}

    @property
    def baseline_loss(self) -> float:
        seen, held = (np.asarray(each.targets) for each in (self.splits[TRAIN], self.held_out))
        share = (1 + (seen == 1).sum(axis=0)) / (2 + (seen != UNASKED).sum(axis=0))
        each = -np.where(held == 1, np.log(share), np.log(1 - share))
        return float(each[held != UNASKED].mean())


class AskedValues(SeededDataset):
    """Numbers at each step that asks; elsewhere all targets are NaN.

    Loss: the mean squared error. Baseline: that of the means of "train" at each step; where other
    splits have more or fewer steps, that of the mean over all of them.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss",)

    def asked(self, targets: Array) -> Array:
        return ~jnp.isnan(targets).any(axis=-1)

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        asked = self.asked(batch.targets)
        wanted = jnp.where(asked[..., None], batch.targets, 0)  # a NaN would reach the gradient
        return _mean(jnp.square(outputs - wanted).mean(axis=-1), asked)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        return {"loss": self.loss(outputs, batch)}

    @property
    def baseline_loss(self) -> float:
        seen, held = (np.asarray(each.targets) for each in (self.splits[TRAIN], self.held_out))
        over = 0 if seen.shape[1] == held.shape[1] else (0, 1)
        counts = np.maximum((~np.isnan(seen)).sum(axis=over), 1)
        return float(np.nanmean(np.square(held - np.nansum(seen, axis=over) / counts)))


def _real(batch: Batch) -> Batch:
    """The same, with inputs that are real numbers."""
    return dataclasses.replace(batch, inputs=batch.inputs.astype(jnp.float32))


def _mean(each: Array, asked: Array) -> PerExample:
    """The mean over the steps that ask."""
    return jnp.sum(jnp.where(asked, each, 0), axis=-1) / jnp.sum(asked, axis=-1)
