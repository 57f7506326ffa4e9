"""The contract that every task keeps, and the streams of data that training draws from."""

import abc
import dataclasses
from typing import ClassVar, Self

import jax
import jax.numpy as jnp

from gru_jax.axes import Array, Inputs, Key, Lengths, Outputs, PerExample

# Streams of examples that never meet, whatever the seed.
EVALUATION, TRAINING = 0, 1


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Example:
    """What a model sees and what it should say; with a leading axis, a batch of them.

    inputs: (time, input_size) numbers, or (time,) tokens.
    targets: whatever the task's loss compares outputs with.
    lengths: the number of steps before the padding; None where there is no padding.
    """

    inputs: Inputs
    targets: Array
    lengths: Lengths | None = None


Batch = Example


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A problem: a source of examples and a way to judge outputs.

    Examples are pure functions of a key, made on the device inside the compiled step.
    `loss` and `metrics` judge each example of a batch apart; training averages them.

    tokens: inputs are whole numbers below `input_size` in place of real vectors.
    readout: "last", "every" or "flatten", see `SequenceModel`.
    metric_names: what `metrics` returns; names other than "loss" grow as things get better.
    """

    tokens: ClassVar[bool] = False
    readout: ClassVar[str]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    metric_names: ClassVar[tuple[str, ...]]

    length: int

    @property
    @abc.abstractmethod
    def steps(self) -> int:
        """Time steps of an example, padding included."""

    @property
    @abc.abstractmethod
    def baseline_loss(self) -> float:
        """Best expected loss of a predictor that knows task and time step but no input."""

    @abc.abstractmethod
    def example(self, key: Key) -> Example:
        """One example."""

    @abc.abstractmethod
    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        """What training minimises, for each example."""

    @abc.abstractmethod
    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        """What people ask about, for each example; "loss" is among them."""

    def with_length(self, length: int) -> Self:
        """The same task at another length.

        Raises:
          FieldError: the task does not exist at that length.
        """
        return dataclasses.replace(self, length=length)


def training_batch(task: Task, seed: Array, step: Array, indices: Array) -> Batch:
    """Fresh examples that depend on (seed, step, index) and on nothing else."""
    key = _fold(jax.random.key(TRAINING), seed, step)
    return _batch(task, key, indices)


def evaluation_batch(task: Task, indices: Array) -> Batch:
    """Examples of the fixed evaluation set, the same for every seed and model."""
    return _batch(task, jax.random.key(EVALUATION), indices)


def _batch(task: Task, key: Key, indices: Array) -> Batch:
    return jax.vmap(lambda index: task.example(_fold(key, index)))(indices)


def _fold(key: Key, *numbers: Array) -> Key:
    for number in numbers:
        key = jax.random.fold_in(key, jnp.asarray(number, jnp.uint32))
    return key
