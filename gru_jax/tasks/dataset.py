"""Tasks whose examples are a data set, kept on the device and drawn inside the compiled step."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax import fields
from gru_jax.axes import Array, Key
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
        if length == self.length:
            return self
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
