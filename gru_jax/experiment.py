"""What stays fixed while a population trains."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import fields
from gru_jax.axes import Array
from gru_jax.model import BuildModel, SequenceModel, parameter_count
from gru_jax.optimizer import Optimizer
from gru_jax.streams import stream
from gru_jax.tasks.base import Task
from gru_jax.tasks.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """All that is fixed while a population trains.

    task: the problem.
    build: makes one model from random streams.
    optimizer: how gradients become updates.
    batch_size: examples for one step of one seed.
    chunk: steps in one dispatch (`log_every`).
    evaluation_examples: size of the fixed evaluation set; of a data set, that of the judged split.
    target_metric, target: a seed has solved the task when this evaluation metric passes this
      threshold at two evaluations in a row: a loss falls below it, any other metric rises above
      it. None: never.
    patience: evaluations without a better target metric after which a seed ends; 0: never.
    carry_state: each example of a batch goes on where that of the update before has ended, and the
      model with the state that it had there; gradients go back to the start of the example.
    keep: "last": a run ends with its last models; "best": with those of the best evaluation
      by the target metric, chosen for each seed separately.

    Raises:
      FieldError: a value is outside what is allowed.
      ContractError: the task's examples or metrics have not the shapes that its sizes tell.
    """

    task: Task
    build: BuildModel
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    batch_size: int = 64
    chunk: int = 50
    evaluation_examples: int = 512
    target_metric: str = "loss"
    target: float | None = None
    keep: str = "last"
    patience: int = 0
    carry_state: bool = False

    def __post_init__(self):
        _check(self.task)
        fields.integer("batch_size", self.batch_size, 1)
        fields.integer("chunk", self.chunk, 1)
        fields.integer("evaluation_examples", self.evaluation_examples, 1)
        if isinstance(self.task, Dataset) and self.evaluation_examples != self.task.size:
            allowed = f"{self.task.size}, all of the split that is judged"
            raise fields.FieldError("evaluation_examples", self.evaluation_examples, allowed)
        fields.one_of("target_metric", self.target_metric, self.task.metric_names)
        if self.target is not None:
            fields.real("target", self.target)
        fields.one_of("keep", self.keep, ("last", "best"))
        fields.integer("patience", self.patience, 0)
        if fields.boolean("carry_state", self.carry_state) and not self.task.follows:
            allowed = "false: this task has no training examples (windows) that follow each other"
            raise fields.FieldError("carry_state", True, allowed)

    @property
    def abstract_model(self) -> tuple[nnx.GraphDef[SequenceModel], Any]:
        """The model's structure and its parameters' shapes; nothing is computed for them."""
        return _abstract(self.build)

    @property
    def parameters(self) -> int:
        """How many numbers training adjusts in one model."""
        return _parameters(self.build)

    @property
    def parts(self) -> int:
        """Into how many parts both batches and evaluation sets divide: `make_mesh`'s batch."""
        return math.gcd(self.batch_size, self.evaluation_examples, *self.task.sizes)

    def check(self) -> None:
        """Checks what shows only once the model is laid out.

        Raises:
          ContractError: it has variables that are no parameters.
          FieldError: the model reads backwards what it would have to carry a state forwards for.
        """
        model = nnx.merge(*self.abstract_model)
        if self.carry_state and any(layer.backward is not None for layer in model.layers):
            allowed = "false: a bidirectional model reads every window from its end, too"
            raise fields.FieldError("carry_state", True, allowed)

    def model(self, params: Any) -> SequenceModel:
        """The model with these parameters, of one seed."""
        return nnx.merge(self.abstract_model[0], params)

    def judged_on(self, split: str) -> "Experiment":
        """The same, whose evaluations take this split, "validation" or "test"; a data set's, whole.

        Raises:
          FieldError: it is neither.
        """
        task = self.task.judged_on(split)
        size = task.size if isinstance(task, Dataset) else self.evaluation_examples
        return dataclasses.replace(self, task=task, evaluation_examples=size)

    def reached(self, metrics: dict[str, Array]) -> Array:
        """Per seed, whether the metrics of an evaluation reach the target."""
        value = metrics[self.target_metric]
        if self.target is None:
            return jnp.zeros(value.shape, bool)
        return value < self.target if self.target_metric == "loss" else value > self.target


def _check(task: Task) -> None:
    """Raises ContractError if a task's own examples or metrics have other shapes than it tells."""
    if type(task).training_examples is not Task.training_examples:
        return  # a data set, which is not made by `example`
    try:
        hash(task)
    except TypeError:  # a task of one's own may hold what has no hash
        _checked.__wrapped__(task)
    else:
        _checked(task)


@functools.lru_cache(maxsize=256)
def _checked(task: Task) -> None:
    name, size = type(task).__name__, 2
    example = jax.eval_shape(lambda: task.example(stream(task.judged)))
    told = {
        "inputs": (task.steps,) if task.tokens else (task.steps, task.input_size),
        "targets": task.target_shape,
    }
    for part, wanted in told.items():
        shape = getattr(example, part).shape
        if wanted not in (None, shape):
            raise fields.ContractError(
                f"the {part} of {name}'s examples have shape {shape}: must have {wanted}"
            )
    every = (task.steps,) if task.readout == "every" else ()
    outputs = jax.ShapeDtypeStruct((size, *every, task.output_size), jnp.float32)
    batch = jax.tree.map(lambda a: jax.ShapeDtypeStruct((size, *a.shape), a.dtype), example)
    found = jax.eval_shape(task.metrics, outputs, batch)
    if found.keys() != set(task.metric_names):
        names = ", ".join(sorted(task.metric_names))
        raise fields.ContractError(f"{name}.metrics returns {', '.join(found)}: must be {names}")
    for metric, values in found.items():
        if values.shape != (size,):
            raise fields.ContractError(
                f"{name}.metrics: {metric} has shape {values.shape} for a batch of {size}: must "
                f"have {(size,)}, a number for each example"
            )


@functools.lru_cache(maxsize=256)
def _abstract(build: BuildModel) -> tuple[nnx.GraphDef[SequenceModel], Any]:
    model = nnx.eval_shape(lambda: build(nnx.Rngs(0)))
    if others := nnx.to_flat_state(nnx.state(model, nnx.Not(nnx.Param))):
        name = ".".join(map(str, others[0][0]))
        raise fields.ContractError(f"the model's {name} must be an nnx.Param: all of it is trained")
    return nnx.split(model)


@functools.lru_cache(maxsize=256)
def _parameters(build: BuildModel) -> int:
    return parameter_count(nnx.merge(*_abstract(build)))
