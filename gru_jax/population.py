"""A population of models: its state, and how its seeds and batches lie over the devices."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gru_jax.axes import Array
from gru_jax.devices import BATCH, SEED

NOT_YET = -1  # in `solved_step` and `diverged_step`


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class TrainState:
    """A population. Every array has a leading seed axis, also when there is one seed.

    params, opt_state: one model a seed.
    seed: names the model's start and its stream of data.
    step: updates made.
    learning_rate, clip_norm: peak step size; bound on the gradient's global norm.
    active: False once a seed has solved the task, is no longer finite, or has run out of patience.
      Its parameters then stay as they are while the other seeds go on.
    solved_step: the step of the evaluation that reached the target, if the next one did so again;
      while a seed is active, that of the last evaluation, if it did; else `NOT_YET`.
    diverged_step: the step at which a seed was no longer finite, else `NOT_YET`.
    gradient_norm: of the last update made, before clipping; NaN before the first.
    carry: with `carry_state`, the model's state after the last update, of every example of a batch.
    best: with `keep="best"`, the parameters of the best evaluation so far.
    best_score, best_step: with patience also, the target metric of that evaluation, with its sign
      turned where more is better; and with patience alone, its step.
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
    carry: Any = None
    best: Any = None
    best_score: Array | None = None
    best_step: Array | None = None

    @property
    def final(self) -> Any:
        """The parameters that a run ends with: the last, or the best where those are kept."""
        return self.params if self.best is None else self.best

    @property
    def held_step(self) -> Array:
        """`solved_step` where two evaluations in a row reached the target, else `NOT_YET`."""
        return jnp.where(self.active, NOT_YET, self.solved_step)


def per_seed(mesh: Mesh) -> NamedSharding:
    """How every array of a `TrainState` is laid over the mesh."""
    return NamedSharding(mesh, P(SEED))


def over_population(mesh: Mesh, member: Any, by_seed: bool = False) -> Any:
    """`member`, a function of one seed's state and of data, for all seeds over the mesh.

    With `by_seed` the data have a leading axis of seeds too, else all seeds share them.

    It uses `shard_map`, since with sharding constraints alone XLA's partitioner does not split
    the scan over time. So `member` itself has to average over the devices that share a batch.
    """

    def over_seeds(state: Any, data: Any) -> Any:
        one = lambda each: member(*each) if by_seed else member(each, data)
        every = (state, data) if by_seed else state
        return jax.lax.map(one, every) if takes_turns(mesh) else jax.vmap(one)(every)

    specs = P(SEED), P(SEED) if by_seed else P()
    return jax.shard_map(over_seeds, mesh=mesh, in_specs=specs, out_specs=P(SEED), check_vma=False)


def over_sets(sums: Any, sets: int, size: int) -> Any:
    """The sum of sums(0), sums(size), sums(2 * size), ..., with one at a time in memory."""
    if sets == 1:
        return sums(0)
    each = jax.lax.map(sums, size * jnp.arange(sets))
    return jax.tree.map(lambda values: values.sum(axis=0), each)


def takes_turns(mesh: Mesh) -> bool:
    """Whether a device computes its seeds one after the other, and not all at once.

    A core of a CPU does, since what several seeds need at once does not fit its cache: see
    docs/log.md.
    """
    return mesh.devices.flat[0].platform == "cpu"


def local_indices(mesh: Mesh, size: int) -> Array:
    """The indices, out of `size`, of the examples that this device makes.

    Raises:
      ValueError: the examples do not divide over the devices.
    """
    share, rest = divmod(size, mesh.shape[BATCH])
    if rest:
        raise ValueError(f"{size} examples do not divide over {mesh.shape[BATCH]} devices")
    return jax.lax.axis_index(BATCH) * share + jnp.arange(share)


def local_part(mesh: Mesh, tree: Any) -> Any:
    """This device's part of arrays whose first axis is the whole batch."""
    share = lambda each: local_indices(mesh, len(each))
    return jax.tree.map(lambda each: each[share(each)], tree)


def whole_batch(mesh: Mesh, tree: Any) -> Any:
    """The arrays of which each device has its `local_part`."""
    if mesh.shape[BATCH] == 1:
        return tree
    return jax.lax.all_gather(tree, BATCH, tiled=True)


def mean_over_batch(mesh: Mesh, tree: Any) -> Any:
    """The mean over the devices that share a batch.

    All arrays travel as one vector, so that the devices wait for each other once and not once an
    array: see docs/log.md.
    """
    if mesh.shape[BATCH] == 1:
        return tree
    flat, back = ravel_pytree(tree)
    return back(jax.lax.pmean(flat, BATCH))
