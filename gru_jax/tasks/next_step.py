"""Predict every step of what somebody collected from the steps before it: music, or text."""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gru_jax import fields
from gru_jax.axes import Array, Key, Outputs, PerExample
from gru_jax.streams import TRAIN, stream
from gru_jax.tasks.base import Batch, Example
from gru_jax.tasks.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class NextStep(Dataset):
    """Predict the next step, at every step of a sequence; targets are the inputs one step later.

    The loss of an example is the mean over its steps, and an evaluation takes the mean over all
    steps of all sequences, so longer ones have more weight.

    window: the number of consecutive steps of a sequence that a training example has, at a random
      place in it; 0 for whole sequences. With `carry_state`, each example of a batch is a reader
      of its own: the sequences of "train", in an order that the seed draws, are a circle, on which
      the readers start at equal distances; their windows follow each other. A reader's state is
      reset where a sequence begins. After 2^31 steps, a reader goes on at another place.

    Raises:
      FieldError: a value is not allowed.
    """

    readout = "every"

    window: int = 0

    def __post_init__(self):
        fields.integer("window", self.window, 0)

    @property
    def follows(self) -> bool:
        return self.window > 0

    def drawn(self, key: Key, data: Any) -> Example:
        piece_key, start_key = jax.random.split(key)
        rows, lengths = _on_device(data[TRAIN])
        if not self.window or self.window >= rows.inputs.shape[1]:
            return super().drawn(piece_key, data)
        piece = jax.random.randint(piece_key, (), 0, len(rows.inputs))
        length = lengths[piece]
        last = jnp.maximum(length - self.window, 0)
        start = jax.random.randint(start_key, (), 0, last + 1)
        cut = lambda each: jax.lax.dynamic_slice_in_dim(each[piece], start, self.window)
        return Example(cut(rows.inputs), cut(rows.targets), jnp.minimum(length, self.window))

    def following_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        rows, lengths = _on_device(data[TRAIN])
        order = jax.random.permutation(stream(TRAIN, seed), len(rows.inputs))
        lengths = lengths[order]
        ends = jnp.cumsum(lengths)
        around = ends[-1]
        first = around // size * indices + self.window * step % around
        places = (first[:, None] + jnp.arange(self.window)) % around
        piece = jnp.searchsorted(ends, places, side="right")
        inside = places - (ends - lengths)[piece]
        at_start = (step == 0) & (jnp.arange(self.window) == 0)
        taken = lambda each: each[order[piece], inside]
        return Batch(taken(rows.inputs), taken(rows.targets), resets=(inside == 0) | at_start)

    def weights(self, batch: Batch) -> PerExample:
        return _inside(batch).sum(axis=-1).astype(jnp.float32)

    def _mean(self, each: Array, batch: Batch) -> PerExample:
        inside = _inside(batch)
        return jnp.sum(jnp.where(inside, each, 0), axis=-1) / inside.sum(axis=-1)


def _on_device(rows: Example) -> tuple[Example, Array]:
    """Sequences as JAX's arrays, and their lengths."""
    rows = jax.tree.map(jnp.asarray, rows)
    assert rows.lengths is not None
    return rows, rows.lengths


def _inside(batch: Batch) -> Array:
    """Which steps (examples, time) are no padding."""
    steps = jnp.arange(batch.targets.shape[1])
    lengths = jnp.full(len(batch.targets), len(steps)) if batch.lengths is None else batch.lengths
    return steps < lengths[:, None]


@dataclasses.dataclass(frozen=True, eq=False)
class PianoRolls(NextStep):
    """Predict which notes sound at the next step of a piece of music.

    Inputs and targets (time, notes) are 0 or 1.

        loss = - mean_t sum_k [y_tk log p_tk + (1 - y_tk) log(1 - p_tk)],   p = sigmoid(outputs)

    in nats per step, as in the publications about these data. Metric "accuracy": the number of
    notes that sound and are predicted (p > 1/2), divided by the number of those that sound or are
    predicted, mean over the steps (after Bay et al. 2009).

    Baseline: the loss if each note's frequency in "train" is predicted.

    Raises:
      FieldError: see `NextStep`.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")

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

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        each = optax.sigmoid_binary_cross_entropy(outputs, batch.targets.astype(outputs.dtype))
        return self._mean(each.sum(axis=-1), batch)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        said, sounds = outputs > 0, batch.targets > 0
        right = (said & sounds).sum(axis=-1)
        either = (said | sounds).sum(axis=-1)
        share = jnp.where(either > 0, right / jnp.maximum(either, 1), 1.0)
        return {"loss": self.loss(outputs, batch), "accuracy": self._mean(share, batch)}


@dataclasses.dataclass(frozen=True, eq=False)
class Characters(NextStep):
    """Predict the next byte of a text.

    Inputs and targets (time,) are places of bytes in the alphabet.

        loss = - mean_t log2 p_t[y_t],   p = softmax(outputs)

    in bits per byte, which are bits per character where a text is ASCII. Metric "accuracy": the
    share of bytes that are the most probable one.

    Baseline: the loss if each byte's frequency in "train" is predicted, where every byte counts as
    if it occurred once more.

    alphabet: the bytes that occur.

    Raises:
      FieldError: see `NextStep`.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")
    tokens = True

    alphabet: bytes = bytes(range(256))

    @property
    def token_names(self) -> tuple[str, ...]:
        return tuple(chr(byte) if byte < 128 else f"\\x{byte:02x}" for byte in self.alphabet)

    @property
    def input_size(self) -> int:
        return len(self.alphabet)

    @property
    def output_size(self) -> int:
        return len(self.alphabet)

    def tokens_of(self, text: str, field: str = "text") -> list[int]:
        """The tokens of a text. `field` is what an error names.

        Raises:
          FieldError: it is empty, or has a byte that is not in the alphabet.
        """
        content = text.encode(errors="surrogateescape")
        if not content or not set(content) <= set(self.alphabet):
            allowed = "at least one character, and none that the task's text does not have"
            raise fields.FieldError(field, text, allowed)
        return [self.alphabet.index(byte) for byte in content]

    @property
    def baseline_loss(self) -> float:
        counts = self._counted(self.splits[TRAIN]) + 1
        held = self._counted(self.held_out)
        return float(-held @ np.log2(counts / counts.sum()) / held.sum())

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        targets = batch.targets.astype(jnp.int32)
        each = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        return self._mean(each / np.log(2), batch)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        right = outputs.argmax(axis=-1) == batch.targets
        return {"loss": self.loss(outputs, batch), "accuracy": self._mean(right, batch)}

    def _counted(self, rows: Example) -> np.ndarray:
        """How often each byte is a target."""
        targets, lengths = np.asarray(rows.targets), np.asarray(rows.lengths)
        inside = np.arange(targets.shape[1]) < lengths[:, None]
        return np.bincount(targets[inside], minlength=len(self.alphabet))
