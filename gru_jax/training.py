"""How a population is trained and evaluated: pure functions, compiled, over a `TrainState`."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gru_jax import fields, streams
from gru_jax.axes import Array
from gru_jax.devices import BATCH, SEED
from gru_jax.experiment import Experiment
from gru_jax.population import (
    NOT_YET,
    TrainState,
    local_indices,
    local_part,
    mean_over_batch,
    over_population,
    over_sets,
    per_seed,
    whole_batch,
)
from gru_jax.regularizers import training_draws
from gru_jax.streams import INITIALISATION, stream
from gru_jax.tasks.base import evaluation_batch, training_batch
from gru_jax.tasks.dataset import Dataset

__all__ = [
    "NOT_YET",
    "Experiment",
    "TrainState",
    "evaluate",
    "init",
    "judge",
    "over_population",
    "per_seed",
    "placed_data",
    "train_chunk",
]


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
      FieldError: see `Experiment.check`.
    """
    experiment.check()
    if not len(seeds) == len(learning_rates) == len(clip_norms):
        raise ValueError("seeds, learning_rates and clip_norms must have one entry a seed")

    # NumPy arrays, since each of several processes hands its own copy to the one program.
    return _init(
        experiment,
        mesh,
        np.array(seeds, np.int32),
        np.array(learning_rates, np.float32),
        np.array(clip_norms, np.float32),
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _init(experiment: Experiment, mesh: Mesh, *of_seeds: Array) -> TrainState:
    compares = experiment.keep == "best" or experiment.patience > 0
    carries = experiment.carry_state

    def member(seed: Array, learning_rate: Array, clip_norm: Array) -> TrainState:
        model = experiment.build(nnx.Rngs(stream(INITIALISATION, seed)))
        params = nnx.state(model)
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
            carry=model.initialize_carry((experiment.batch_size,)) if carries else None,
            best=params if experiment.keep == "best" else None,
            best_score=jnp.float32(jnp.inf) if compares else None,
            best_step=jnp.int32(0) if experiment.patience else None,
        )

    # One seed after the other, since initialisers may call LAPACK: see gru_jax/lapack.py.
    members = lambda *each: jax.lax.map(lambda one: member(*one), each)
    return jax.shard_map(members, mesh=mesh, in_specs=P(SEED), out_specs=P(SEED), check_vma=False)(
        *of_seeds
    )


def placed_data(experiment: Experiment, mesh: Mesh, seeds: Sequence[int]) -> Any:
    """The task's data on the devices of the mesh, for `train_chunk` and `evaluate`.

    What seeds share is on every device, what a seed has of its own is where the seed is.
    """
    spec = P(SEED) if experiment.task.by_seed else P()
    return jax.device_put(experiment.task.data_of(seeds), NamedSharding(mesh, spec))


@functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
def train_chunk(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any = ()
) -> tuple[TrainState, dict[str, Array]]:
    """`experiment.chunk` steps of every seed; data are made on the device.

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
            state = dataclasses.replace(state, carry=local_part(mesh, state.carry))
            state, (measured, took) = jax.lax.scan(step, state, None, length=experiment.chunk)
            state = dataclasses.replace(state, carry=whole_batch(mesh, state.carry))
            mean = lambda values: jnp.sum(jnp.where(took, values, 0.0)) / jnp.sum(took)
            return state, jax.tree.map(mean, measured)

        def none(state):
            nan = lambda measured: jnp.full(measured.shape, jnp.nan, measured.dtype)
            return state, jax.tree.map(nan, jax.eval_shape(steps, state)[1])

        # Where seeds take turns, a frozen seed costs nothing.
        return jax.lax.cond(state.active, steps, none, state)

    return over_population(mesh, member, experiment.task.by_seed)(state, data)


def evaluate(
    experiment: Experiment,
    mesh: Mesh,
    state: TrainState,
    data: Any = (),
    *,
    sets: int = 1,
    split: str | None = None,
) -> dict[str, Array]:
    """Per seed, the task's metrics: weighted means over the split that the task is judged on.

    Args:
      sets: take so many times `evaluation_examples` examples, of which the first are the same.
      split: "validation" or "test", by the same program, of a task that makes its examples.

    Raises:
      FieldError: it is neither, or not the split of a data set that the task is judged on, which is
        evaluated once.
    """
    judged = experiment.task.judged
    of_both = not isinstance(experiment.task, Dataset)
    known = (streams.VALIDATION, streams.TEST) if of_both else (judged,)
    split = judged if split is None else fields.one_of("split", split, known)
    fields.integer("sets", sets, 1, fields.LARGEST if of_both else 1)
    return _evaluate(experiment, mesh, state, data, np.uint32(streams.code(split)), sets=sets)


@functools.partial(jax.jit, static_argnums=(0, 1), static_argnames="sets")
def _evaluate(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any, split: Array, *, sets: int
) -> dict[str, Array]:
    def member(state: TrainState, data: Any) -> dict[str, Array]:
        def sums(first: Any) -> Any:
            indices = first + local_indices(mesh, experiment.evaluation_examples)
            batch = evaluation_batch(experiment.task, indices, data, split)
            outputs = experiment.model(state.params)(batch.inputs, **batch.given)
            metrics = experiment.task.metrics(outputs, batch)
            weights = experiment.task.weights(batch)
            # What is not asked has no metric: a mean over nothing.
            weigh = lambda values: jnp.sum(jnp.where(weights > 0, weights * values, 0))
            return jax.tree.map(weigh, metrics), weights.sum()

        totals, total = jax.lax.psum(over_sets(sums, sets, experiment.evaluation_examples), BATCH)
        return {name: value / total for name, value in totals.items()}

    return over_population(mesh, member, experiment.task.by_seed)(state, data)


@functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
def judge(experiment: Experiment, state: TrainState, metrics: dict[str, Array]) -> TrainState:
    """The state after an evaluation.

    A seed that reached the target at this evaluation and at the one before has solved the task,
    and is frozen; so is one whose patience has ended. The best models are kept.
    """
    reached = experiment.reached(metrics)
    before = state.solved_step != NOT_YET
    first = jnp.where(before, state.solved_step, state.step)
    solved_step = jnp.where(reached, first, NOT_YET)
    judged = dataclasses.replace(
        state,
        active=state.active & ~(reached & before),
        solved_step=jnp.where(state.active, solved_step, state.solved_step),
    )
    if state.best_score is None:
        return judged
    score = metrics[experiment.target_metric]
    score = score if experiment.target_metric == "loss" else -score
    better = state.active & (score < state.best_score)
    keep = lambda new, old: jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
    if state.best is not None:
        judged = dataclasses.replace(judged, best=jax.tree.map(keep, state.params, state.best))
    if state.best_step is not None:
        best_step = keep(state.step, state.best_step)
        waited = state.step - best_step >= experiment.patience * experiment.chunk
        going = judged.active & (reached | ~waited)
        judged = dataclasses.replace(judged, active=going, best_step=best_step)
    return dataclasses.replace(judged, best_score=keep(score, state.best_score))


def _step(
    experiment: Experiment, mesh: Mesh, state: TrainState, data: Any
) -> tuple[TrainState, dict[str, Array], Array]:
    """One update of one seed, its metrics, and whether it was taken."""
    indices = local_indices(mesh, experiment.batch_size)
    batch = training_batch(
        experiment.task,
        state.seed,
        state.step,
        indices,
        data,
        experiment.batch_size,
        experiment.carry_state,
    )

    def mean_loss(params):
        model = experiment.model(params)
        drawn = training_draws(model.regularizer, state.seed, state.step, indices)
        carry, outputs = model(
            batch.inputs, initial_carry=state.carry, return_carry=True, **batch.given, **drawn
        )
        return experiment.task.loss(outputs, batch).mean(), (carry, outputs)

    differentiated = jax.value_and_grad(mean_loss, has_aux=True)
    (loss, (carry, outputs)), gradients = differentiated(state.params)
    metrics = jax.tree.map(jnp.mean, experiment.task.metrics(outputs, batch))
    loss, gradients, metrics = mean_over_batch(mesh, (loss, gradients, metrics))
    gradient_norm = optax.tree.norm(gradients)
    measured = {**metrics, "gradient_norm": gradient_norm}

    finite = jnp.isfinite(loss) & jnp.isfinite(gradient_norm)
    took = state.active & finite
    transform = experiment.optimizer.transform(state.learning_rate, state.clip_norm)
    update = functools.partial(transform.update, gradients, state.opt_state, state.params)

    learned = lambda: (optax.apply_updates(state.params, update()[0]), True)
    # The new parameters are made first, and the new moments wait for `took`: were both made of the
    # old moments in any order, XLA would have to copy the old moments (docs/log.md).
    params, took = jax.lax.cond(took, learned, lambda: (state.params, False))
    _, opt_state = update()
    keep_old = lambda new, old: jnp.where(took, new, old)
    return (
        dataclasses.replace(
            state,
            params=params,
            opt_state=jax.tree.map(keep_old, opt_state, state.opt_state),
            step=state.step + took,
            active=took,
            diverged_step=jnp.where(state.active & ~finite, state.step, state.diverged_step),
            solved_step=jnp.where(state.active & ~finite, NOT_YET, state.solved_step),
            gradient_norm=keep_old(gradient_norm, state.gradient_norm),
            carry=None if state.carry is None else jax.tree.map(keep_old, carry, state.carry),
        ),
        measured,
        took,
    )
