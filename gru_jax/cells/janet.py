"""Just another network (van der Westhuizen & Lasenby 2018): an LSTM's forget gate alone."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class JANETCell(base.Cell):
    """Just another network: a forget gate, and no other.

        a = x W_f + h U_f + b_f                                 sum of the gate
        n = tanh(x W_n + h U_n + b_n)                           candidate
        h' = sigmoid(a) * h + (1 - sigmoid(a - beta)) * n

    x has shape (*batch, D), everything else (*batch, H). sigmoid(a) and n are reported under the
    names "forget" and "candidate". With beta > 0 a unit takes in more than it forgets.

    Source: van der Westhuizen & Lasenby (2018), "The unreasonable effectiveness of the forget
    gate". The authors start b_f by `initializers.Chrono`.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_f, 1 by default: a number, or an initialiser.
      beta: see above; 1 in the paper.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "JANET"
    KEEPING_GATE = "forget"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        beta: float = 1.0,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.beta = fields.real("beta", beta)
        sizes, start = (in_features, hidden_features), base.keeping_start(keeping_bias, 1.0)
        self.forget = base.Gate(*sizes, bias_init=start, rngs=rngs, **options)
        self.candidate = base.Gate(*sizes, activation=jnp.tanh, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        a, n = self.forget(x, h), self.candidate(x, h)
        f = sigmoid(a)
        return f * h + (1 - sigmoid(a - self.beta)) * n, {"forget": f, "candidate": n}
