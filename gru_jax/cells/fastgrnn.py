"""The fast gated network (Kusupati et al. 2018)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer, constant, ones

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class FastGRNNCell(base.Cell):
    """Fast gated network: one gate, which shares its kernels with the candidate.

        z = sigmoid(x W + h U + b_z)                                      update gate
        n = tanh(x W + h U + b_n)                                         candidate
        h' = (sigmoid(zeta) (1 - z) + sigmoid(nu)) * n + z * h

    x has shape (*batch, D), everything else (*batch, H); zeta and nu are single learned numbers.
    Gates are reported under the names "update" and "candidate".

    Source: Kusupati et al. (2018), "FastGRNN: a fast, accurate, stable and tiny kilobyte sized
    gated recurrent neural network", whose starts these are, with kernels of full rank.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_z, 1 by default: a number, or an initialiser.
      zeta, nu: their starts.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "FastGRNN"
    KEEPING_GATE = "update"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        zeta: float = 1.0,
        nu: float = -4.0,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        draw = lambda init, *shape: base.parameter(
            init, rngs, shape, options.get("param_dtype", jnp.float32)
        )
        start = base.keeping_start(keeping_bias, 1.0)
        self.shared = base.Gate(in_features, hidden_features, bias_init=None, rngs=rngs, **options)
        self.update_bias, self.bias = draw(start, hidden_features), draw(ones, hidden_features)
        self.zeta = draw(constant(fields.real("zeta", zeta)))
        self.nu = draw(constant(fields.real("nu", nu)))

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        total = self.shared(x, h)
        z = sigmoid(base.add_bias(total, self.update_bias))
        n = jnp.tanh(base.add_bias(total, self.bias))
        zeta, nu = (sigmoid(each[...].astype(h.dtype)) for each in (self.zeta, self.nu))
        return (zeta * (1 - z) + nu) * n + z * h, {"update": z, "candidate": n}
