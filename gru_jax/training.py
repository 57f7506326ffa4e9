"""A population of models in one compiled program: pure functions over a `TrainState`."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gru_jax import fields
from gru_jax.axes import Array, Outputs
from gru_jax.devices import BATCH, SEED
from gru_jax.model import BuildModel, SequenceModel, parameter_count
from gru_jax.optimizer import Optimizer
from gru_jax.streams import INITIALISATION, stream
from gru_jax.tasks.base import Batch, Task, evaluation_batch, training_batch

NOT_YET = -1  # in `solved_step` and `diverged_step`


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """A population. Every array has a leading seed axis, also when there is one seed.

    params, opt_state: one model a seed.
    seed: names the model's start and its stream of data.
    step: updates made.
    learning_rate, clip_norm: peak step size; bound on the gradient's global norm.
    active: False once a seed has reached the target or is no longer finite; its parameters
      then stay as they are while its neighbours go on.
    solved_step, diverged_step: the step at which that happened, else `NOT_YET`.
    gradient_norm: of the last update made, before clipping; NaN before the first.
    best, best_score: with `keep="best"`, the parameters of the best evaluation so far, and
      its target metric, turned so that less is better.
    """

    params: Any
    opt_state: Any
    seed: Array
    step: Array
    learning_rate: Array
    clip_norm: Array
    active: Array
    solved_step: Array
    diverged_step: Array
    gradient_norm: Array
    best: Any = None
    best_score: Array | None = None

    @property
    def final(self) -> Any:
        """The parameters that a run ends with: the last, or the best where those are kept."""
        return self.params if self.best is None else self.best


@dataclasses.dataclass(frozen=True, eq=False)
class Experiment:
    """All that is fixed while a population trains.

    task: the problem.
    build: makes one model from random streams.
    optimizer: how gradients become updates.
    batch_size: examples a step and seed.
    chunk: steps in one dispatch (`log_every`).
    evaluation_examples: size of the fixed evaluation set.
    target_metric, target: the evaluation metric that solves the task and its threshold: a
      loss below it, or any other metric above it; None: no seed is ever solved.
    keep: "last": a run ends with its last models; "best": with those of the best evaluation
      by the target metric, chosen for each seed by itself.

    Raises:
      FieldError: a value is outside what is allowed.
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

    def __post_init__(self):
        fields.integer("batch_size", self.batch_size, 1)
        fields.integer("chunk", self.chunk, 1)
        fields.integer("evaluation_examples", self.evaluation_examples, 1)
        fields.one_of("target_metric", self.target_metric, self.task.metric_names)
        if self.target is not None:
            fields.real("target", self.target)
        fields.one_of("keep", self.keep, ("last", "best"))

    @functools.cached_property
    def abstract_model(self) -> tuple[nnx.GraphDef[SequenceModel], Any]:
        """The model's structure and its parameters' shapes, without computing anything."""
        return nnx.split(nnx.eval_shape(lambda: self.build(nnx.Rngs(0))))

    @property
    def parameters(self) -> int:
        """Numbers that training adjusts in one model."""
        return parameter_count(nnx.merge(*self.abstract_model))

    @property
    def parts(self) -> int:
        """The most parts that batch and evaluation sets divide into: `make_mesh`'s batch."""
        return math.gcd(self.batch_size, self.evaluation_examples, *self.task.sizes)

    def model(self, params: Any) -> SequenceModel:
        """The model with these parameters, of one seed."""
        return nnx.merge(self.abstract_model[0], params)

    def solved(self, metrics: dict[str, Array]) -> Array:
        """Per seed, whether evaluation metrics reach the target."""
        value = metrics[self.target_metric]
        if self.target is None:
            return jnp.zeros(value.shape, bool)
        return value < self.target if self.target_metric == "loss" else value > self.target


def per_seed(mesh: Mesh) -> NamedSharding:
    """How every array of a `TrainState` is laid over the mesh."""
    return NamedSharding(mesh, P(SEED))


def init(
    experiment: Experiment,
    mesh: Mesh,
    seeds: tuple[int, ...],
    learning_rates: tuple[float, ...],
    clip_norms: tuple[float, ...],
) -> TrainState:
    """A fresh population: one model for each seed, laid over the mesh.

    Args:
      seeds: whole numbers from 0; equal seeds give equal models and data.
      learning_rates, clip_norms: one a seed.

    Raises:
      ValueError: the three differ in length.
    """
    if not len(seeds) == len(learning_rates) == len(clip_norms):
        raise ValueError("seeds, learning_rates and clip_norms must have one entry a seed")

    def member(seed: Array, learning_rate: Array, clip_norm: Array) -> TrainState:
        params = nnx.state(experiment.build(nnx.Rngs(stream(INITIALISATION, seed))))
        transform = experiment.optimizer.transform(learning_rate, clip_norm)
        return TrainState(
            params=params,
            opt_state=transform.init(params),
            seed=seed,
            step=jnp.int32(0),
            learning_rate=learning_rate,
            clip_norm=clip_norm,
            active=jnp.bool_(True),
            solved_step=jnp.int32(NOT_YET),
            diverged_step=jnp.int32(NOT_YET),
            gradient_norm=jnp.float32(jnp.nan),
            best=params if experiment.keep == "best" else None,
            best_score=jnp.float32(jnp.inf) if experiment.keep == "best" else None,
        )

    # One seed after the other: see gru_jax/lapack.py, which an initialiser need not know.
    members = lambda *each: jax.lax.map(lambda one: member(*one), each)
    population = jax.jit(
        jax.shard_map(members, mesh=mesh, in_specs=P(SEED), out_specs=P(SEED), check_vma=False)
    )
    # NumPy's arrays, since several processes may hand the same ones to one program.
    return population(
        np.array(seeds, np.int32),
        np.array(learning_rates, np.float32),
        np.array(clip_norms, np.float32),
    )


def placed_data(experiment: Experiment, mesh: Mesh) -> Any:
    """The task's data on every device of the mesh, for `train_chunk` and `evaluate`."""
    return jax.device_put(experiment.task.data, NamedSharding(mesh, P()))


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_chunk(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any = ()
) -> tuple[TrainState, dict[str, Array]]:
    """`experiment.chunk` steps of every seed: makes data, learns and measures on the device.

    Args:
      data: `placed_data`; needed where the task is a `Dataset`.

    Returns:
      The new state, and per seed the mean over its steps of the task's metrics and of
      "gradient_norm", the global norm before clipping; NaN for a seed that took no step.
    """

    def member(state: TrainState, data: Any) -> tuple[TrainState, dict[str, Array]]:
        def step(state, _):
            new, measured, took = _step(experiment, mesh, state, data)
            return new, (measured, took)

        def steps(state):
            state, (measured, took) = jax.lax.scan(step, state, None, length=experiment.chunk)
            mean = lambda values: jnp.sum(jnp.where(took, values, 0.0)) / jnp.sum(took)
            return state, jax.tree.map(mean, measured)

        def none(state):
            nan = lambda measured: jnp.full(measured.shape, jnp.nan, measured.dtype)
            return state, jax.tree.map(nan, jax.eval_shape(steps, state)[1])

        # A frozen seed costs nothing where seeds take turns.
        return jax.lax.cond(state.active, steps, none, state)

    return over_population(mesh, member)(state, data)


@functools.partial(jax.jit, static_argnums=(0, 1))
def evaluate(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any = ()
) -> dict[str, Array]:
    """Per seed, the task's metrics: weighted means over the fixed evaluation set."""

    def member(state: TrainState, data: Any) -> dict[str, Array]:
        indices = _local_indices(mesh, experiment.evaluation_examples)
        batch = evaluation_batch(experiment.task, indices, data)
        metrics = experiment.task.metrics(_outputs(experiment, state.params, batch), batch)
        weights = experiment.task.weights(batch)
        sums = {name: jnp.sum(weights * values) for name, values in metrics.items()}
        sums, total = jax.lax.psum((sums, jnp.sum(weights)), BATCH)
        return {name: value / total for name, value in sums.items()}

    return over_population(mesh, member)(state, data)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def judge(experiment: Experiment, state: TrainState, metrics: dict[str, Array]) -> TrainState:
    """The state after an evaluation: seeds that reach the target are frozen, the best are kept."""
    solved = state.active & experiment.solved(metrics)
    judged = dataclasses.replace(
        state,
        active=state.active & ~solved,
        solved_step=jnp.where(solved, state.step, state.solved_step),
    )
    if state.best_score is None:
        return judged
    score = metrics[experiment.target_metric]
    score = score if experiment.target_metric == "loss" else -score
    better = state.active & (score < state.best_score)
    keep = lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
    return dataclasses.replace(
        judged,
        best=jax.tree.map(keep, state.params, state.best),
        best_score=keep(score, state.best_score),
    )


def _step(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any
) -> tuple[TrainState, dict[str, Array], Array]:
    """One update of one seed, its metrics, and whether it was taken."""
    indices = _local_indices(mesh, experiment.batch_size)
    batch = training_batch(experiment.task, state.seed, state.step, indices, data)

    def mean_loss(params):
        outputs = _outputs(experiment, params, batch)
        return experiment.task.loss(outputs, batch).mean(), outputs

    (loss, outputs), gradients = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
    metrics = jax.tree.map(jnp.mean, experiment.task.metrics(outputs, batch))
    loss, gradients, metrics = _mean_over_batch(mesh, (loss, gradients, metrics))
    gradient_norm = optax.tree.norm(gradients)
    measured = {**metrics, "gradient_norm": gradient_norm}

    finite = jnp.isfinite(loss) & jnp.isfinite(gradient_norm)
    took = state.active & finite
    transform = experiment.optimizer.transform(state.learning_rate, state.clip_norm)

    def learned():
        updates, _ = transform.update(gradients, state.opt_state, state.params)
        return optax.apply_updates(state.params, updates), True

    # Parameters first, and `took` after them: were both made of the old moments in any order, these
    # would have to be copied.
    params, took = jax.lax.cond(took, learned, lambda: (state.params, False))
    _, opt_state = transform.update(gradients, state.opt_state, state.params)
    keep_old = lambda new, old: jnp.where(took, new, old)
    return (
        dataclasses.replace(
            state,
            params=params,
            opt_state=jax.tree.map(keep_old, opt_state, state.opt_state),
            step=state.step + took,
            active=took,
            diverged_step=jnp.where(state.active & ~finite, state.step, state.diverged_step),
            gradient_norm=keep_old(gradient_norm, state.gradient_norm),
        ),
        measured,
        took,
    )


def _mean_over_batch(mesh: Mesh, tree: Any) -> Any:
    """The mean over the devices that share a batch, as one vector: each array of its own would
    have the devices wait for each other once more, see docs/log.md.
    """
    if mesh.shape[BATCH] == 1:
        return tree
    flat, back = ravel_pytree(tree)
    return back(jax.lax.pmean(flat, BATCH))


def _outputs(experiment: Experiment, params: Any, batch: Batch) -> Outputs:
    return experiment.model(params)(batch.inputs, seq_lengths=batch.lengths)


def _local_indices(mesh: Mesh, size: int) -> Array:
    """The examples, out of `size`, that this device makes."""
    share, rest = divmod(size, mesh.shape[BATCH])
    if rest:
        raise ValueError(f"{size} examples do not divide over {mesh.shape[BATCH]} devices")
    return jax.lax.axis_index(BATCH) * share + jnp.arange(share)


def over_population(mesh: Mesh, member: Any) -> Any:
    """`member`, a function of one seed's state and of data, for all seeds over the mesh.

    `shard_map` and not sharding constraints: left to itself the partitioner does not split
    the scan over time. Averages over the batch are then `member`'s to take.
    """

    def over_seeds(state: Any, data: Any) -> Any:
        one = lambda state: member(state, data)
        return jax.lax.map(one, state) if takes_turns(mesh) else jax.vmap(one)(state)

    return jax.shard_map(
        over_seeds, mesh=mesh, in_specs=(P(SEED), P()), out_specs=P(SEED), check_vma=False
    )


def takes_turns(mesh: Mesh) -> bool:
    """Whether a device computes its seeds one after the other, and not all at once.

    So a core of a CPU does: what several seeds need at once leaves its cache, see docs/log.md.
    """
    return mesh.devices.flat[0].platform == "cpu"
