"""What devices computations run on, and how a carry lies over several of them.

Within `shard_map`, and with axes of a mesh that are `AxisType.Explicit`, an array's type says over
which devices it is divided, and a scan needs a carry of the same type before and after a step. So
the zeros to start from have to be divided as the states that follow are.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax


def on_gpu() -> bool:
    """Whether JAX's devices are GPUs.

    There a loop waits for the launch of each operation of a step, however small its arrays are.
    """
    return jax.default_backend() == "gpu"


def placed(step: Callable[[Any], Any], carry: Any) -> Any:
    """The carry, divided over devices as what `step` makes of it."""
    while True:
        after = jax.eval_shape(step, carry)
        found = jax.tree.map(divided_like, carry, after)
        if jax.tree.map(jax.typeof, found) == jax.tree.map(jax.typeof, carry):
            return found
        carry = found


def is_divided(tree: Any) -> bool:
    """Whether the type of any of these arrays says that it is divided over devices."""
    varying = lambda leaf: jax.typeof(leaf).manual_axis_type.varying
    return is_explicit(tree) or any(map(varying, jax.tree.leaves(tree)))


def is_explicit(tree: Any) -> bool:
    """Whether any of these arrays is divided by an axis that is `AxisType.Explicit`."""
    return any(any(jax.typeof(leaf).sharding.spec) for leaf in jax.tree.leaves(tree))


def divided_like(value: Any, like: Any) -> Any:
    """The value, divided over devices as an array of the type `like` is."""
    mine = jax.typeof(value)
    if like.manual_axis_type is not None:
        axes = like.manual_axis_type.varying - mine.manual_axis_type.varying
        value = lax.pcast(value, tuple(axes), to="varying") if axes else value
    if like.sharding is not None and like.sharding.spec != mine.sharding.spec:
        value = jax.reshard(value, like.sharding)
    return value
