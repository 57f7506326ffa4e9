"""Tasks whose examples are a data set, kept on the device and drawn inside the compiled step."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gru_jax import fields
from gru_jax.axes import Array, Key, Outputs, PerExample
from gru_jax.streams import TEST, TRAIN, VALIDATION, fold, stream
from gru_jax.tasks.base import Batch, Classification, Example, Task


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset(Task):
    """A task whose examples are a data set in three separate splits.

    Training draws its examples from the split "train", with replacement. Evaluation uses the whole
    of another split: "validation" to choose anything by the result, "test" to report it.

    splits: the examples of each split, by its name. Arrays have a leading axis for the examples;
      their other axes are the same in all splits.
    """

    splits: Mapping[str, Example]

    # Compared by identity: a task is part of the key of a compiled program, and arrays cannot be.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def held_out(self) -> Example:
        """The examples of the split that evaluation uses."""
        return self.splits[self.judged]

    @property
    def size(self) -> int:
        """The number of examples that evaluation uses."""
        return len(self.held_out.inputs)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(len(self.splits[name].inputs) for name in (VALIDATION, TEST))

    @property
    def data(self) -> dict[str, Example]:
        return {TRAIN: self.splits[TRAIN], self.judged: self.held_out}

    def example(self, key: Key) -> Example:
        return self.drawn(key, self.data)

    def drawn(self, key: Key, data: Any) -> Example:
        """One training example, drawn from arrays such as those of the property `data`."""
        place = jax.random.randint(key, (), 0, len(data[TRAIN].inputs))
        return jax.tree.map(lambda rows: jnp.asarray(rows)[place], data[TRAIN])

    def training_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        del size
        key = stream(TRAIN, seed, step)
        return jax.vmap(lambda index: self.drawn(fold(key, index), data))(indices)

    def evaluation_examples(self, indices: Array, data: Any, split: Array | None = None) -> Batch:
        del split  # a program has the arrays of one: that which is judged
        return jax.tree.map(lambda rows: jnp.asarray(rows)[indices], data[self.judged])

    def with_length(self, length: int) -> Self:
        raise fields.FieldError("length", length, f"{self.length}, the length of the data")


@dataclasses.dataclass(frozen=True, eq=False)
class LabelledSequences(Classification, Dataset):
    """The classification of whole sequences, such as the pixels of an image or the words of a text.

    kinds: the number of features of a time step, or of kinds of tokens.
    classes: the number of classes; targets are 0..classes - 1.
    readout: "last"; or "flatten" if all sequences have the same length.
    tokens: whether inputs are whole numbers (time,) instead of real vectors (time, kinds).
    token_names: the names of the tokens, for figures.

    Baseline: the cross-entropy on the split that evaluation uses, if the class frequencies of
    "train" are predicted.
    """

    kinds: int = 1
    classes: int = 2
    readout: str = "last"
    tokens: bool = False
    token_names: tuple[str, ...] = ()

    @property
    def input_size(self) -> int:
        return self.kinds

    @property
    def output_size(self) -> int:
        return self.classes

    @property
    def baseline_loss(self) -> float:
        counts = np.bincount(np.asarray(self.splits[TRAIN].targets), minlength=self.classes)
        share = np.maximum(counts, 1e-9) / counts.sum()
        return float(-np.log(share[np.asarray(self.held_out.targets)]).mean())


@dataclasses.dataclass(frozen=True, eq=False)
class PianoRolls(Dataset):
    """Predict which notes sound at the next step, at every step of a piece of music.

    Inputs and targets (time, notes) are 0 or 1; the targets are the inputs one step later.

        loss = - mean_t sum_k [y_tk log p_tk + (1 - y_tk) log(1 - p_tk)],   p = sigmoid(outputs)

    in nats per step, as in the publications about these data. An evaluation takes the mean over
    all steps of all pieces, so longer pieces have more weight. Metric "accuracy": the number of
    notes that sound and are predicted (p > 1/2), divided by the number of those that sound or are
    predicted, mean over the steps (after Bay et al. 2009).

    Baseline: the loss if each note's frequency in "train" is predicted.

    window: the number of consecutive steps of a piece that a training example has, at a random
      place in the piece; 0 for whole pieces.

    Raises:
      FieldError: a value is not allowed.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    readout = "every"

    window: int = 0

    def __post_init__(self):
        fields.integer("window", self.window, 0)

    @property
    def input_size(self) -> int:
        return self.held_out.inputs.shape[-1]

    @property
    def output_size(self) -> int:
        return self.input_size

    @property
    def baseline_loss(self) -> float:
        train, held = self.splits[TRAIN], self.held_out
        frequent = np.asarray(train.targets).sum(axis=(0, 1)) / np.asarray(train.lengths).sum()
        frequent = np.clip(frequent, 1e-6, 1 - 1e-6)
        sounding = np.asarray(held.targets).sum(axis=(0, 1))
        silent = np.asarray(held.lengths).sum() - sounding
        whole = sounding @ np.log(frequent) + silent @ np.log(1 - frequent)
        return float(-whole / np.asarray(held.lengths).sum())

    def drawn(self, key: Key, data: Any) -> Example:
        piece_key, start_key = jax.random.split(key)
        piece = super().drawn(piece_key, data)
        if not self.window or self.window >= len(piece.inputs):
            return piece
        length = _lengths(piece)
        last = jnp.maximum(length - self.window, 0)
        start = jax.random.randint(start_key, (), 0, last + 1)
        cut = lambda rows: jax.lax.dynamic_slice_in_dim(rows, start, self.window)
        return Example(cut(piece.inputs), cut(piece.targets), jnp.minimum(length, self.window))

    def weights(self, batch: Batch) -> PerExample:
        return _lengths(batch).astype(jnp.float32)

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        each = optax.sigmoid_binary_cross_entropy(outputs, batch.targets.astype(outputs.dtype))
        return self._mean(each.sum(axis=-1), batch)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        said, sounds = outputs > 0, batch.targets > 0
        right = (said & sounds).sum(axis=-1)
        either = (said | sounds).sum(axis=-1)
        share = jnp.where(either > 0, right / jnp.maximum(either, 1), 1.0)
        return {"loss": self.loss(outputs, batch), "accuracy": self._mean(share, batch)}

    def _mean(self, each: Array, batch: Batch) -> PerExample:
        lengths = _lengths(batch)
        inside = jnp.arange(each.shape[-1]) < lengths[..., None]
        return jnp.sum(jnp.where(inside, each, 0), axis=-1) / lengths


def _lengths(batch: Batch) -> Array:
    assert batch.lengths is not None
    return batch.lengths
