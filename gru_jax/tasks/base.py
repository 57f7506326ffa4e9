"""The contract that every task keeps, and the streams of data that training draws from."""

import abc
import dataclasses
import functools
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import optax

from gru_jax.axes import Array, Inputs, Key, Lengths, Outputs, PerExample

# Streams of examples that never meet, whatever the seed.
EVALUATION, TRAINING = 0, 1
UNASKED = -1  # the target of a step at which nothing is asked


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

    Examples are pure functions of a key, made on the device inside the compiled step; those
    that somebody collected are a `Dataset`. `loss` and `metrics` judge each example of a batch
    apart; training averages them.

    metric_names: what `metrics` returns; names other than "loss" grow as things get better.
    """

    metric_names: ClassVar[tuple[str, ...]]

    length: int

    @property
    @abc.abstractmethod
    def readout(self) -> str:
        """ "last", "every" or "flatten", see `SequenceModel`."""

    @property
    def tokens(self) -> bool:
        """Whether inputs are whole numbers below `input_size` in place of real vectors."""
        return False

    @property
    def token_names(self) -> tuple[str, ...]:
        """What figures call tokens; nothing: by their numbers."""
        return ()

    @property
    @abc.abstractmethod
    def input_size(self) -> int:
        """Numbers that one time step has, or kinds of tokens."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """Classes, or numbers to be said."""

    @property
    def steps(self) -> int:
        """Time steps of an example, padding included: `length`, unless the task says otherwise."""
        return self.length

    @property
    @abc.abstractmethod
    def baseline_loss(self) -> float:
        """Best expected loss of a predictor that knows task and time step but no input."""

    @abc.abstractmethod
    def example(self, key: Key) -> Example:
        """One example."""

    @property
    def data(self) -> Any:
        """Arrays that the compiled program needs to make examples: none where a key is enough."""
        return ()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of splits that are evaluated whole."""
        return ()

    def training_examples(self, key: Key, indices: Array, data: Any) -> Batch:
        """The examples of one step, out of the stream that `key` names."""
        del data
        return _examples(self, key, indices)

    def evaluation_examples(self, indices: Array, data: Any) -> Batch:
        """Examples of the fixed evaluation set."""
        del data
        return _examples(self, jax.random.key(EVALUATION), indices)

    def weights(self, batch: Batch) -> PerExample:
        """What each example counts for in the means of an evaluation."""
        return jnp.ones(batch.targets.shape[0])

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


class Classification(Task):
    """A task whose answers are one of `output_size` classes, after the last step or at every one.

    Targets are classes, or `UNASKED` at a step where nothing is asked.

    Loss: cross-entropy, mean over the steps that ask. Metric "accuracy": over the same steps.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        each = optax.softmax_cross_entropy_with_integer_labels(outputs, batch.targets.clip(0))
        return self._mean(each, batch.targets != UNASKED)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        right = outputs.argmax(axis=-1) == batch.targets
        return {
            "loss": self.loss(outputs, batch),
            "accuracy": self._mean(right.astype(jnp.float32), self.counted(batch)),
        }

    def counted(self, batch: Batch) -> Array:
        """The steps over which accuracy is taken: those that ask."""
        return batch.targets != UNASKED

    def _mean(self, each: Array, asked: Array) -> PerExample:
        if self.readout != "every":
            return each
        return jnp.sum(jnp.where(asked, each, 0), axis=-1) / jnp.sum(asked, axis=-1)


class Regression(Task):
    """A task whose answer is one number, after the last step.

    Loss: squared error. Metric "correct": the error is below `tolerance`.
    """

    readout = "last"
    output_size = 1
    metric_names: ClassVar[tuple[str, ...]] = ("loss", "correct")
    tolerance: ClassVar[float] = 0.04  # Hochreiter & Schmidhuber's (1997) for the adding problem

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        return jnp.square(outputs - batch.targets)[..., 0]

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        correct = jnp.abs(outputs - batch.targets)[..., 0] < self.tolerance
        return {"loss": self.loss(outputs, batch), "correct": correct.astype(jnp.float32)}


def one_of(key: Key, low: int, high: int) -> Array:
    """A whole number in low..high, both included."""
    return jax.random.randint(key, (), low, high + 1)


def training_batch(task: Task, seed: Array, step: Array, indices: Array, data: Any = None) -> Batch:
    """Fresh examples that depend on (seed, step, index) and on nothing else.

    Args:
      data: the task's own; handed in by a compiled program, which must not hold it.
    """
    key = fold(jax.random.key(TRAINING), seed, step)
    return task.training_examples(key, indices, task.data if data is None else data)


def evaluation_batch(task: Task, indices: Array, data: Any = None) -> Batch:
    """Examples of the fixed evaluation set, the same for every seed and model."""
    return task.evaluation_examples(indices, task.data if data is None else data)


@functools.partial(jax.jit, static_argnums=0)  # outside a program too, in a notebook
def _examples(task: Task, key: Key, indices: Array) -> Batch:
    return jax.vmap(lambda index: task.example(fold(key, index)))(indices)


def fold(key: Key, *numbers: Array) -> Key:
    """The key of a stream's part: fold_in with one number after the other."""
    for number in numbers:
        key = jax.random.fold_in(key, jnp.asarray(number, jnp.uint32))
    return key
