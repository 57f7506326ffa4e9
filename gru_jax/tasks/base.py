"""The contract that every task keeps, and the batches that training and evaluation take of it."""

import abc
import copy
import dataclasses
import functools
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import optax

from gru_jax import fields
from gru_jax.axes import Array, Inputs, Key, Lengths, Outputs, PerExample, Resets
from gru_jax.streams import TEST, TRAIN, VALIDATION, fold, stream

UNASKED = -1  # the target of a step at which nothing is asked


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Example:
    """What a model sees and what it should say; with a leading axis, a batch of them.

    inputs: (time, input_size) numbers, or (time,) tokens.
    targets: whatever the task's loss compares outputs with.
    lengths: the number of steps before the padding; None where there is no padding.
    resets: (time,) whether something new begins at a step, and a model's state is reset before it;
      None where nothing does.
    """

    inputs: Inputs
    targets: Array
    lengths: Lengths | None = None
    resets: Resets | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What a model is told beside the inputs."""
        return {"seq_lengths": self.lengths, "resets": self.resets}


Batch = Example


@dataclasses.dataclass(frozen=True)
class Task(abc.ABC):
    """A problem: a source of examples and a way to judge outputs.

    Examples are pure functions of a key, made on the device inside the compiled step; examples
    that somebody collected are a `Dataset`. `loss` and `metrics` judge each example of a batch by
    itself; training averages them.

    metric_names: what `metrics` returns; all but "loss" are better when they are larger.
    by_seed: whether every seed has data of its own, see `data_of`.
    length: the task's size in time; `steps` says how many time steps an example has.
    judged: the split that evaluations take, "validation" or "test": see `judged_on`.
    """

    metric_names: ClassVar[tuple[str, ...]]
    by_seed: ClassVar[bool] = False

    length: int
    # No argument, hence no field of a config: what a run is trained by is always "validation".
    judged: str = dataclasses.field(default=VALIDATION, init=False, repr=False)

    def __new__(cls, *_: Any, **__: Any) -> Self:
        missing = sorted(cls.__abstractmethods__)
        if not hasattr(cls, "metric_names"):
            missing.append("metric_names")
        if missing:
            raise fields.ContractError(f"{cls.__name__} must define {', '.join(missing)}")
        return super().__new__(cls)

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
        """What figures call the tokens; where empty, they show their numbers."""
        return ()

    @property
    @abc.abstractmethod
    def input_size(self) -> int:
        """How many numbers one time step has, or how many kinds of tokens there are."""

    @property
    @abc.abstractmethod
    def output_size(self) -> int:
        """How many classes there are, or how many numbers the model outputs."""

    @property
    def target_shape(self) -> tuple[int, ...] | None:
        """The shape of an example's targets; None where only the loss knows."""
        return None

    @property
    def steps(self) -> int:
        """Time steps of an example, padding included."""
        return self.length

    @property
    @abc.abstractmethod
    def baseline_loss(self) -> float:
        """The best expected loss of a predictor that knows task and time step, but no input."""

    @abc.abstractmethod
    def example(self, key: Key) -> Example:
        """One example."""

    @property
    def data(self) -> Any:
        """Arrays from which the compiled program takes examples; none where a key is enough."""
        return ()

    def data_of(self, seeds: Sequence[int]) -> Any:
        """The data of a population; with a leading axis of seeds where each has its own."""
        del seeds
        return self.data

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many examples each split has that is evaluated whole."""
        return ()

    def training_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        """The examples with these indices of a training step, which has `size` of them in all."""
        del data, size
        return _examples(self, stream(TRAIN, seed, step), indices)

    @property
    def follows(self) -> bool:
        """Whether training examples can follow those of the step before."""
        return False

    def following_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        """As `training_examples`, where each goes on where that of the step before has ended."""
        raise NotImplementedError

    def evaluation_examples(self, indices: Array, data: Any, split: Array | None = None) -> Batch:
        """The examples with these indices of the split that is judged.

        Args:
          split: the code of another split's name; where examples are made, any split is at hand.
        """
        del data
        return _examples(self, stream(self.judged if split is None else split), indices)

    def weights(self, batch: Batch) -> PerExample:
        """The weight of each example in the means of an evaluation."""
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
        return dataclasses.replace(self, length=length).judged_on(self.judged)

    def judged_on(self, split: str) -> Self:
        """The same task, with evaluations that take this split, "validation" or "test".

        Raises:
          FieldError: it is neither.
        """
        fields.one_of("split", split, (VALIDATION, TEST))
        task = copy.copy(self)
        object.__setattr__(task, "judged", split)  # a frozen dataclass has no other way
        return task


class Classification(Task):
    """A task whose answer is one of `output_size` classes, after the last step or at every step.

    Targets are classes, or `UNASKED` at a step where nothing is asked.

    Loss: mean cross-entropy over the steps that ask. Metric "accuracy": the share of them that
    are answered right.
    """

    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")

    @property
    def target_shape(self) -> tuple[int, ...]:
        return (self.steps,) if self.readout == "every" else ()

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
        """Whether a step counts for the accuracy: those that ask do."""
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

    @property
    def target_shape(self) -> tuple[int, ...]:
        return (self.output_size,)

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        return jnp.square(outputs - batch.targets)[..., 0]

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        correct = jnp.abs(outputs - batch.targets)[..., 0] < self.tolerance
        return {"loss": self.loss(outputs, batch), "correct": correct.astype(jnp.float32)}


def one_of(key: Key, low: int | Array, high: int | Array) -> Array:
    """A whole number in low..high, both included."""
    return jax.random.randint(key, (), low, high + 1)


def training_batch(
    task: Task,
    seed: Array,
    step: Array,
    indices: Array,
    data: Any = None,
    size: int | None = None,
    follow: bool = False,
) -> Batch:
    """The examples of a training step; each depends on (seed, step, index) and on nothing else.

    Args:
      data: `task.data`. A compiled program hands it in, since arrays that it closed over would
        become part of the program.
      size: the number of examples of the step; by default the indices are all of them.
      follow: take those that follow the examples of the step before.
    """
    data = task.data if data is None else data
    examples = task.following_examples if follow else task.training_examples
    return examples(seed, step, indices, data, size or len(indices))


def evaluation_batch(
    task: Task, indices: Array, data: Any = None, split: Array | None = None
) -> Batch:
    """Examples of the split that the task is judged on, the same for every seed and model."""
    return task.evaluation_examples(indices, task.data if data is None else data, split)


@functools.partial(jax.jit, static_argnums=0)  # compiled also where a notebook calls it
def _examples(task: Task, key: Key, indices: Array) -> Batch:
    return jax.vmap(lambda index: task.example(fold(key, index)))(indices)
