"""Initialisers that `jax.nn.initializers` lacks.

Every gate of a cell has kernels of its own, and an initialiser draws each of them separately. So
an orthogonal start is orthogonal for each gate. In one fused (H, 3H) kernel that is orthogonal as
a whole, the singular values of a single gate would be far below 1.
"""

import dataclasses

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


def symmetric(bound: float) -> Initializer:
    """U(-bound, bound); with 1 / sqrt(H), the start of all weights of PyTorch's layers."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    return init


def evenly(first: float, last: float) -> Initializer:
    """Numbers at equal distances, from the first unit to the last."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del key, out_sharding
        return jnp.linspace(first, last, shape[0], dtype=dtype)

    return init


def uniform_gate() -> Initializer:
    """b = log(u / (1 - u)) with u ~ U(1/H, 1 - 1/H), so that sigmoid(b) = u (Gu et al. 2020).

    A gate that starts so covers time scales of up to about H steps, whatever the task.
    """

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        edge = 1 / max(2, shape[0])
        u = jax.random.uniform(key, shape, dtype, edge, 1 - edge)
        return jnp.log(u / (1 - u))

    return init


def rotations() -> Initializer:
    """A, whose A - A^T turns pairs of units by angles ~ U(-pi, pi) (Henaff et al. 2016).

    Its exponential is block-diagonal, and orthogonal.
    """

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        pairs = shape[0] // 2
        first = 2 * jnp.arange(pairs)
        angles = jax.random.uniform(key, (pairs,), dtype, -jnp.pi, jnp.pi)
        return jnp.zeros(shape, dtype).at[first, first + 1].set(angles)

    return init


@dataclasses.dataclass(frozen=True)
class Chrono:
    """b = log u with u ~ U(1, chrono_max - 1): memories of up to `chrono_max` steps.

    A gate sigmoid(b) = u / (1 + u) keeps its unit for about 1 + u steps, so the units'
    time scales cover the range from 2 to `chrono_max` (Tallec & Ollivier 2018).

    Raises:
      FieldError: `chrono_max` is not a finite number above 2.
    """

    chrono_max: float

    def __post_init__(self):
        fields.real("chrono_max", self.chrono_max, above=2)

    def __call__(self, key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jnp.log(jax.random.uniform(key, shape, dtype, 1.0, self.chrono_max - 1.0))


def negated(init: Initializer) -> Initializer:
    """The initialiser whose values are minus those of `init`."""

    def flipped(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return -init(key, shape, dtype)

    return flipped
