"""The linear recurrent unit (Orvieto et al. 2023)."""

import functools
from typing import Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, lecun_normal, normal

from gru_jax import fields
from gru_jax.axes import Activations, Array, State, StepInput
from gru_jax.cells import base

ACTIVATIONS = {**base.ACTIVATIONS, "gelu": jax.nn.gelu}


class LRUCell(base.Cell):
    """Linear recurrent unit: damped rotations of complex numbers; the carry is (re, im, y).

        l = exp(-exp(nu) + i exp(theta))          decay and rotation of each unit
        s' = l * s + exp(gamma) * (x B)           s = re + i im
        y' = activation(Re(s' C) + x W)

    x has shape (*batch, D), everything else (*batch, H); B (D, H) and C (H, H) are complex. The
    layer above sees y. |l|, the share that a unit keeps, is reported under the name "magnitude". It
    depends on neither x nor s, so the recurrence is linear.

    Source: Orvieto et al. (2023), "Resurrecting recurrent neural networks for long sequences",
    where y has as many features as x, and W is diagonal. The starts are the authors': |l|^2 is
    uniform from r_min^2 to r_max^2, the angle of l from 0 to max_phase, and gamma makes s as large
    as x B.

    Args:
      in_features, hidden_features: D and H.
      r_min, r_max: the least and largest |l| at the start; 0 <= r_min < r_max <= 1.
      max_phase: the largest angle of l at the start, above 0, in radians.
      activation: that of y: "identity", "tanh", "relu", "softsign", "gelu" or a function. The
        authors' layers follow it by others that are not linear.
      rngs: the source of the parameters.
      options: see `CellOptions`. Real and imaginary parts start as N(0, 1 / (2 D)) for B and
        N(0, 1 / H) for C, W as LeCun normal.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "LRU"
    STATES = ("re", "im", "y")
    CANDIDATES = ()
    STARTS = ("re", "im")  # no step reads y
    LINEAR = True
    KEEPING_GATE = "magnitude"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        activation: str | base.Activation = "identity",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        fields.real("r_max", r_max, above=0, most=1)
        fields.real("r_min", r_min, least=0, below=r_max)
        fields.real("max_phase", max_phase, above=0)
        param_dtype = options.get("param_dtype", jnp.float32)
        vector = lambda init: base.parameter(init, rngs, (hidden_features,), param_dtype)
        self.nu = vector(_ring(r_min, r_max))
        self.theta = vector(_angles(max_phase))
        lost = -jnp.expm1(-2 * jnp.exp(self.nu[...].astype(self.state_dtype)))  # 1 - |l|^2
        self.gamma = nnx.Param((jnp.log(lost) / 2).astype(param_dtype))
        sizes = in_features, hidden_features
        options.setdefault("recurrent_init", normal(hidden_features**-0.5))
        given = options.pop("kernel_init", None)
        hears = functools.partial(base.Gate, *sizes, bias_init=None, rngs=rngs, **options)
        start = given or normal((2 * in_features) ** -0.5)
        self.real = hears(recurrent="none", kernel_init=start)
        self.imaginary = hears(recurrent="none", kernel_init=start)
        self.output_real = hears(kernel_init=given or lecun_normal())
        self.output_imaginary = hears(inputs=False)
        self.activation = base.activation("activation", activation, ACTIVATIONS)

    def step(self, carry: tuple[State, ...], x: StepInput) -> tuple[tuple[State, ...], Activations]:
        re, im, _ = carry
        turn, scale = self._multiplier(), jnp.exp(self.gamma[...].astype(self.state_dtype))
        a, b, scale = (base.spread(each, re) for each in (turn.real, turn.imag, scale))
        re, im = (
            a * re - b * im + scale * self.real(x, re),
            b * re + a * im + scale * self.imaginary(x, im),
        )
        y = self.activation(self.output_real(x, re) - self.output_imaginary(x, im))
        return (re, im, y), {
            "magnitude": jnp.broadcast_to(base.spread(jnp.abs(turn), re), re.shape)
        }

    def _multiplier(self) -> Array:
        """l, (H,)."""
        nu, theta = (each[...].astype(self.state_dtype) for each in (self.nu, self.theta))
        return jnp.exp(jax.lax.complex(-jnp.exp(nu), jnp.exp(theta)))


def _ring(least: float, most: float) -> Initializer:
    """nu of a magnitude whose square is uniform between the squares of these."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        # A magnitude of 0 would have no gradient.
        low = max(least**2, float(jnp.finfo(dtype).tiny))
        square = jax.random.uniform(key, shape, dtype, low, most**2)
        return jnp.log(-jnp.log(square) / 2)

    return init


def _angles(most: float) -> Initializer:
    """theta of an angle that is uniform between 0 and this."""

    def init(key, shape, dtype=jnp.float32, out_sharding=None):
        del out_sharding
        return jnp.log(jax.random.uniform(key, shape, dtype, float(jnp.finfo(dtype).tiny), most))

    return init
