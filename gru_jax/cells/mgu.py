"""The minimal gated unit (Zhou et al. 2016): a GRU whose one gate resets and updates."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class MGUCell(base.Cell):
    """Minimal gated unit: a GRU whose one gate resets and updates.

        f = sigmoid(x W_f + h U_f + b_f)              forget gate, f writes
        n = tanh(x W_n + (f * h) U_n + b_n)           candidate
        h' = (1 - f) * h + f * n

    x has shape (*batch, D), everything else (*batch, H). Gates are reported under the names
    "forget" and "candidate".

    Source: Zhou et al. (2016), "Minimal gated unit for recurrent neural networks".

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of -b_f, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "MGU"
    KEEPING_GATE = "forget"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        sizes, start = (in_features, hidden_features), base.keeping_start(keeping_bias, keep=False)
        self.forget = base.Gate(*sizes, activation=sigmoid, bias_init=start, rngs=rngs, **options)
        self.candidate = base.Gate(*sizes, activation=jnp.tanh, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        f = self.forget(x, h)
        n = self.candidate(x, f * h)
        return (1 - f) * h + f * n, {"forget": f, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["forget"]
