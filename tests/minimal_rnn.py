"""The minimal RNN: a cell that is not the library's, in one file that programs are given."""

import jax.numpy as jnp
from jax.nn import sigmoid
from jax.nn.initializers import Initializer

from gru_jax import CELLS
from gru_jax.cells.base import Cell, Gate, keeping_start
from tests.programs import tiny_config


class MinimalRNNCell(Cell):
    """Minimal RNN (Chen 2017).

        n = tanh(x W_n + b_n)                         candidate
        u = sigmoid(n W_u + h U_u + b_u)              update gate, u keeps
        h' = u * h + (1 - u) * n

    Args:
      keeping_bias: start of b_u, 1 by default: a number, or an initialiser.
    """

    KEEPING_GATE = "update"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        rngs,
        **options,
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        sizes, start = (hidden_features, hidden_features), keeping_start(keeping_bias, 1.0)
        self.candidate = Gate(in_features, hidden_features, recurrent="none", rngs=rngs, **options)
        self.update = Gate(*sizes, bias_init=start, rngs=rngs, **options)

    def step(self, h, x):
        n = jnp.tanh(self.candidate(x, h))
        u = sigmoid(self.update(n, h))
        return u * h + (1 - u) * n, {"update": u, "candidate": n}


CELLS["minimal_rnn"] = MinimalRNNCell


def get_config():
    config = tiny_config()
    config.model.cell = "minimal_rnn"
    return config


def sweep(add):
    add("gru", {"model.cell": "gru", "model.gru.update": "refined"}, parameters=200)
    add("minimal_rnn", {}, parameters=200, reference="gru")
    add("minimal_rnn-chrono", {"model.chrono_max": 5.0}, parameters=200, reference="gru")
