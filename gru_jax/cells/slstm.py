"""The LSTM with exponential gates of xLSTM (Beck et al. 2024)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import log_sigmoid, sigmoid
from jax.nn.initializers import Initializer, zeros

from gru_jax.axes import Activations, Carry, State, StepInput
from gru_jax.cells import base
from gru_jax.initializers import evenly


class SLSTMCell(base.Cell):
    """LSTM with an exponential input gate and a normaliser; the carry is (c, n, m, h).

        a = x W_i + h U_i + b_i                             input gate, in logarithms
        f = log sigmoid(x W_f + h U_f + b_f)                forget gate, in logarithms
        z = tanh(x W_z + h U_z + b_z)                       candidate
        o = sigmoid(x W_o + h U_o + b_o)                    output gate
        m' = max(a, f + m)
        c' = exp(f + m - m') c + exp(a - m') z
        n' = exp(f + m - m') n + exp(a - m')
        h' = o * c' / n'

    x has shape (*batch, D), everything else (*batch, H). m keeps the exponentials in range and
    drops out of c' / n'. It starts at minus infinity, so that the first step replaces whatever c
    and n are. c' / n' is a mean of the old one and z, whose shares are reported under the names
    "forget" and "input"; z and o under "candidate" and "output".

    Source: Beck et al. (2024), "xLSTM: extended long short-term memory", with one head; the starts
    are the authors'.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_f: a number, or an initialiser; evenly from 3 to 6 by default.
      rngs: the source of the parameters.
      options: see `CellOptions`; recurrent kernels start at 0.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "sLSTM"
    STATES = ("c", "n", "m", "h")
    KEEPING_GATE = "forget"
    STARTS = ("h",)  # the first step replaces all others
    HELD = ("h",)  # c and n are multiples of exp(m), and mean nothing beside another m

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
        options.setdefault("recurrent_init", zeros)
        sizes = in_features, hidden_features
        start = evenly(3.0, 6.0) if keeping_bias is None else base.keeping_start(keeping_bias)
        self.input = base.Gate(*sizes, rngs=rngs, **options)
        self.forget = base.Gate(
            *sizes, activation=log_sigmoid, bias_init=start, rngs=rngs, **options
        )
        self.candidate = base.Gate(*sizes, activation=jnp.tanh, rngs=rngs, **options)
        self.output_gate = base.Gate(*sizes, activation=sigmoid, rngs=rngs, **options)

    def step(self, carry: tuple[State, ...], x: StepInput) -> tuple[tuple[State, ...], Activations]:
        c, n, m, h = carry
        a, z, o = self.input(x, h), self.candidate(x, h), self.output_gate(x, h)
        f = self.forget(x, h) + m
        m = jnp.maximum(a, f)
        f, i = jnp.exp(f - m), jnp.exp(a - m)
        kept = f * n
        c, n = f * c + i * z, kept + i
        h = o * c / n
        shares = {"input": i / n, "forget": kept / n}
        return (c, n, m, h), {**shares, "candidate": z, "output": o}

    def initialize_carry(
        self,
        input_shape: tuple[int, ...],
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        carry_init: Initializer | None = None,
    ) -> Carry:
        c, n, m, h = super().initialize_carry(input_shape, rngs, carry_init)
        return c, n, jnp.full_like(m, -jnp.inf), h
