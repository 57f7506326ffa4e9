"""The orthogonal network by the exponential map (Lezcano-Casado & Martinez-Rubio 2019)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.scipy.linalg import expm

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base, skew
from gru_jax.initializers import rotations, symmetric


class ExpRNNCell(base.Cell):
    """Orthogonal network: its recurrent kernel is orthogonal throughout training.

        a = x W + h exp(S),   S = -S^T
        h' = sign(a) relu(|a| + b)                             "modrelu"

    x has shape (*batch, D), everything else (*batch, H). The new state is reported under the name
    "candidate".

    Source: Lezcano-Casado & Martinez-Rubio (2019), "Cheap orthogonal constraints in neural
    networks: a simple parametrization of the orthogonal and unitary group".

    Args:
      in_features, hidden_features: D and H.
      rngs: the source of the parameters.
      options: see `CellOptions`; S starts as A - A^T, where `recurrent_init` is that of A,
        `initializers.rotations` by default. b starts at U(-0.01, 0.01).

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "expRNN"
    CANDIDATES = ()

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        param_dtype = options.get("param_dtype", jnp.float32)
        start = options.pop("recurrent_init", rotations())
        self.candidate = base.Gate(
            in_features,
            hidden_features,
            recurrent="none",
            bias_init=None,
            rngs=rngs,
            **options,
        )
        self.skew = skew.parameter(start, rngs, hidden_features, param_dtype)
        self.bias = base.parameter(symmetric(0.01), rngs, (hidden_features,), param_dtype)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        kernel = expm(skew.kernel(self.skew, self.hidden_features, h.dtype))
        a = self.candidate(x, h) + self.candidate.product(self.candidate.hears(h), kernel)
        h = jnp.sign(a) * jnp.maximum(base.add_bias(jnp.abs(a), self.bias), 0)
        return h, {"candidate": h}
