"""The minimal gated unit: a cell that is not the library's, in one file that programs are given."""

import jax.numpy as jnp
from jax.nn import sigmoid
from jax.nn.initializers import constant

from gru_jax import CELLS, Cell, Gate
from tests.programs import tiny_config


class MGUCell(Cell):
    """Minimal gated unit (Zhou et al. 2016).

        f = sigmoid(x W_f + h U_f + b_f)                forget gate, f replaces
        n = tanh(x W_n + (f * h) U_n + b_n)             candidate
        h' = (1 - f) * h + f * n

    Args:
      forget_bias: start of b_f.
    """

    KEEPING_GATE = "forget"

    def __init__(
        self, in_features: int, hidden_features: int, *, forget_bias: float = 1.0, rngs, **options
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        sizes, start = (in_features, hidden_features), constant(forget_bias)
        self.forget = Gate(*sizes, bias_init=start, rngs=rngs, **options)
        self.candidate = Gate(*sizes, rngs=rngs, **options)

    def step(self, h, x):
        f = sigmoid(self.forget(x, h))
        n = jnp.tanh(self.candidate(x, f * h))
        return (1 - f) * h + f * n, {"forget": f, "candidate": n}

    def kept(self, activations):
        return 1 - activations["forget"]


CELLS["mgu"] = MGUCell


def get_config():
    config = tiny_config()
    config.model.cell = "mgu"
    return config


def sweep(add):
    add("gru", {"model.cell": "gru"}, parameters=200)
    add("mgu", {}, parameters=200, reference="gru")
    add("mgu-0", {"model.mgu.forget_bias": 0.0}, parameters=200, reference="gru")
