"""Minimal GRU and LSTM (Feng et al. 2024): their gates hear the inputs alone."""

import functools
from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import log_sigmoid, sigmoid
from jax.nn.initializers import Initializer

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class MinGRUCell(base.Cell):
    """Minimal GRU, which is linear in h.

        z = sigmoid(x W_z + b_z)              update gate, z writes
        n = x W_n + b_n                       candidate
        h' = (1 - z) * h + z * n

    x has shape (*batch, D); h, z, n have shape (*batch, H). Gates are reported under the names
    "update" and "candidate". No gate hears h.

    Source: Feng et al. (2024), "Were RNNs all we needed?", in its plain form; the form in
    logarithms is the same function, of positive candidates.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of -b_z, 0 by default: a number, or an initialiser.
      activation: that of the candidate: "identity", "tanh", "relu", "softsign", a function, or
        "positive", the paper's g: n + 1/2 where n is not negative, otherwise sigmoid(n).
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "minGRU"
    LINEAR = True
    KEEPING_GATE = "update"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        activation: str | base.Activation = "identity",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        make = functools.partial(
            base.Gate, in_features, hidden_features, recurrent="none", rngs=rngs, **options
        )
        self.update = make(
            activation=sigmoid, bias_init=base.keeping_start(keeping_bias, keep=False)
        )
        self.candidate = make(activation=base.activation("activation", activation, CANDIDATES))

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        z, n = self.update(x, h), self.candidate(x, h)
        return (1 - z) * h + z * n, {"update": z, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["update"]


class MinLSTMCell(base.Cell):
    """Minimal LSTM, which is linear in h; its input and forget gates add up to 1.

        f = sigmoid(x W_f + b_f)                  forget gate
        i = sigmoid(x W_i + b_i)                  input gate
        n = x W_n + b_n                           candidate
        h' = f / (f + i) * h + i / (f + i) * n

    x has shape (*batch, D), everything else (*batch, H). f / (f + i), i / (f + i) and n are
    reported under the names "forget", "input" and "candidate".

    Source: Feng et al. (2024), with the gates normalised.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_f and -b_i, 0 by default: a number, or an initialiser. A unit of
        bias b keeps the share sigmoid(b) where x is 0.
      activation: that of the candidate, as for `MinGRUCell`.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "minLSTM"
    LINEAR = True
    KEEPING_GATE = "forget"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        keeping_bias: float | Initializer | None = None,
        activation: str | base.Activation = "identity",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        make = functools.partial(
            base.Gate, in_features, hidden_features, recurrent="none", rngs=rngs, **options
        )
        self.forget = make(bias_init=base.keeping_start(keeping_bias))
        self.input = make()
        base.mirror(self.forget, self.input)
        self.candidate = make(activation=base.activation("activation", activation, CANDIDATES))

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        # As a logarithm of f / i: both gates may be too small to be divided by their sum.
        odds = log_sigmoid(self.forget(x, h)) - log_sigmoid(self.input(x, h))
        f, i, n = sigmoid(odds), sigmoid(-odds), self.candidate(x, h)
        return f * h + i * n, {"input": i, "forget": f, "candidate": n}


def _positive(n: State) -> State:
    return jnp.where(n >= 0, n + 0.5, sigmoid(n))


CANDIDATES = {**base.ACTIVATIONS, "positive": _positive}
