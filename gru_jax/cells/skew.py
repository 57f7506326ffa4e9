"""Skew-symmetric kernels, S = -S^T, by the numbers above their diagonal."""

from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer

from gru_jax.axes import Array
from gru_jax.cells import base


def parameter(init: Initializer, rngs: nnx.Rngs, size: int, param_dtype: Any) -> nnx.Param:
    """The numbers above the diagonal of A - A^T, (size (size - 1) / 2,), where `init` draws A."""
    drawn = base.parameter(init, rngs, (size, size), param_dtype)[...]
    return nnx.Param((drawn - drawn.T)[jnp.triu_indices(size, 1)])


def kernel(values: nnx.Param, size: int, dtype: Any) -> Array:
    """S, (size, size)."""
    above = (
        jnp.zeros((size, size), dtype).at[jnp.triu_indices(size, 1)].set(values[...].astype(dtype))
    )
    return above - above.T
