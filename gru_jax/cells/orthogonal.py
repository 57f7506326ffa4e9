"""The orthogonal network by the exponential map (Lezcano-Casado & Martinez-Rubio 2019)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.scipy.linalg import expm

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.initializers import rotations, symmetric


class ExpRNNCell(base.Cell):
    """Orthogonal network: its recurrent kernel is orthogonal throughout training.

        a = x W + h exp(A - A^T)
        h' = sign(a) relu(|a| + b)                             "modrelu"

    x has shape (*batch, D), everything else (*batch, H). The new state is reported under the name
    "candidate".

    Source: Lezcano-Casado & Martinez-Rubio (2019), "Cheap orthogonal constraints in neural
    networks: a simple parametrization of the orthogonal and unitary group".

    Args:
      in_features, hidden_features: D and H.
      rngs: the source of the parameters.
      options: see `CellOptions`; `recurrent_init` is that of A, by default
        `initializers.rotations`. b starts at U(-0.01, 0.01).

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "expRNN"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        options.setdefault("recurrent_init", rotations())
        self.candidate = base.Gate(
            in_features, hidden_features, bias_init=None, rngs=rngs, **options
        )
        self.bias = base.parameter(
            symmetric(0.01), rngs, (hidden_features,), options.get("param_dtype", jnp.float32)
        )

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        skew = self.candidate.recurrent_kernel[...].astype(h.dtype)
        a = self.candidate.project(x) + self.candidate.product(h, expm(skew - skew.T))
        h = jnp.sign(a) * jnp.maximum(base.add_bias(jnp.abs(a), self.bias), 0)
        return h, {"candidate": h}
