"""Initialisers that `jax.nn.initializers` lacks.

Every gate of a cell owns its own kernels, so any initialiser is applied to each gate
separately: an orthogonal start is orthogonal per gate, never over a fused (H, 3H) block,
whose single gates would have singular values far below 1.
"""

import jax
import jax.numpy as jnp
from jax.nn.initializers import Initializer

from gru_jax import fields


def identity(scale: float = 1.0) -> Initializer:
    """U = scale * I, the start of an IRNN (Le, Jaitly & Hinton 2015)."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del key, out_sharding
        return scale * jnp.eye(shape[0], shape[1], dtype=dtype)

    return init


def chrono(maximum: float) -> Initializer:
    """b = log u with u ~ U(1, maximum - 1): memories of up to `maximum` steps.

    A gate sigmoid(b) = u / (1 + u) keeps its unit for about 1 + u steps, so the units'
    time scales cover the range from 2 to `maximum` (Tallec & Ollivier 2018).

    Raises:
      FieldError: `maximum` is not a finite number above 2.
    """
    fields.real("chrono_max", maximum, above=2)

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jnp.log(jax.random.uniform(key, shape, dtype, 1.0, maximum - 1.0))

    return init


def bias_or_chrono(field: str, value: float | str, chrono_max: float | None) -> Initializer:
    """The initialiser of a bias given as a number or as the word "chrono"."""
    if value == "chrono":
        if chrono_max is None:
            raise fields.FieldError("chrono_max", None, f'given where {field} is "chrono"')
        return chrono(chrono_max)
    if chrono_max is not None:
        raise fields.FieldError("chrono_max", chrono_max, f'left out unless {field} is "chrono"')
    if isinstance(value, str):
        raise fields.FieldError(field, value, 'a number or "chrono"')
    return jax.nn.initializers.constant(fields.real(field, value))


def negated(init: Initializer) -> Initializer:
    """The initialiser whose values are those of `init` with the sign turned."""

    def flipped(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return -init(key, shape, dtype)

    return flipped
