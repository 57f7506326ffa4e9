"""GRU and LSTM with layer normalisation (Ba, Kiros & Hinton 2016)."""

import functools
from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer, zeros

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.cells.norm import LayerNorm, NormedSums

FORMS = ("products", "sum")


class LayerNormGRUCell(base.Cell):
    """GRU with layer normalisation, of each product or of their sum.

        [r z] = LN(x W) + LN(h U) + b                         norm="products"
        n = tanh(LN(x W_n) + sigmoid(r) * LN(h U_n) + b_n)    candidate, norm="products"
        [r z a] = LN(x W + h U) + b                           norm="sum"
        n = tanh(sigmoid(r) * a)                              candidate, norm="sum"
        h' = (1 - sigmoid(z)) * h + sigmoid(z) * n            r reset gate, z update gate: writes

    x has shape (*batch, D), everything else (*batch, H); LN normalises the units of the gates in
    brackets together, see `norm.LayerNorm`. sigmoid(r), sigmoid(z) and n are reported under the
    names "reset", "update" and "candidate".

    Source: Ba, Kiros & Hinton (2016), "Layer normalization", for "products"; "sum", where the
    reset gate also acts on what x says, is the cell of Dreamer (Hafner et al. 2021), which has
    `keeping_bias=1`.

    Args:
      in_features, hidden_features: D and H.
      norm: "products" or "sum".
      keeping_bias: start of -b_z, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "GRU with layer norm"
    KEEPING_GATE = "update"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        norm: str = "products",
        keeping_bias: float | Initializer | None = None,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        fields.one_of("norm", norm, FORMS)
        make = functools.partial(base.Gate, in_features, hidden_features, rngs=rngs, **options)
        self.reset = make()
        self.update = make(bias_init=base.keeping_start(keeping_bias, keep=False))
        self.candidate = make()
        whole = norm == "sum"
        self.norm = NormedSums(norm, 3 if whole else 2, hidden_features, rngs=rngs, **options)
        alone = lambda: LayerNorm(
            1, hidden_features, rngs=rngs, param_dtype=options.get("param_dtype", jnp.float32)
        )
        self.along = None if whole else alone()
        self.across = None if whole else alone()

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        if self.along is None or self.across is None:  # one norm of the sum
            r, z, n = self.norm([self.reset, self.update, self.candidate], x, h)
            r, z = sigmoid(r), sigmoid(z)
            n = jnp.tanh(r * n)
        else:
            r, z = self.norm([self.reset, self.update], x, h)
            r, z = sigmoid(r), sigmoid(z)
            (along,) = self.along(self.candidate.along(x))
            (across,) = self.across(self.candidate.recur(h))
            n = jnp.tanh(base.add_bias(along, self.candidate.bias) + r * across)
        h = (1 - z) * h + z * n
        return h, {"reset": r, "update": z, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["update"]


class LayerNormLSTMCell(base.Cell):
    """LSTM with layer normalisation, of each product or of their sum; the carry is (c, h).

        [i f g o] = LN(x W) + LN(h U) + b               norm="products"
        [i f g o] = LN(x W + h U) + b                   norm="sum"
        c' = sigmoid(f) * c + sigmoid(i) * tanh(g)      f forget gate, i input gate, g candidate
        h' = sigmoid(o) * tanh(LN(c') + b_c)            o output gate

    x has shape (*batch, D), everything else (*batch, H); LN normalises the units of the gates in
    brackets together, see `norm.LayerNorm`. The gates sigmoid(i), sigmoid(f), tanh(g) and
    sigmoid(o) are reported under the names "input", "forget", "candidate" and "output", and c'
    under "c".

    Source: Ba, Kiros & Hinton (2016), "Layer normalization", for "products".

    Args:
      in_features, hidden_features: D and H.
      norm: "products" or "sum".
      keeping_bias: start of b_f, 1 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "LSTM with layer norm"
    STATES = ("c", "h")
    KEEPING_GATE = "forget"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        norm: str = "products",
        keeping_bias: float | Initializer | None = None,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        fields.one_of("norm", norm, FORMS)
        param_dtype = options.get("param_dtype", jnp.float32)
        make = functools.partial(base.Gate, in_features, hidden_features, rngs=rngs, **options)
        self.input = make()
        self.forget = make(bias_init=base.keeping_start(keeping_bias, 1.0))
        self.candidate, self.output_gate = make(), make()
        self.norm = NormedSums(norm, 4, hidden_features, rngs=rngs, **options)
        self.memory_norm = LayerNorm(1, hidden_features, rngs=rngs, param_dtype=param_dtype)
        self.memory_bias = base.parameter(zeros, rngs, (hidden_features,), param_dtype)

    def step(
        self, carry: tuple[State, State], x: StepInput
    ) -> tuple[tuple[State, State], Activations]:
        c, h = carry
        gates = [self.input, self.forget, self.candidate, self.output_gate]
        i, f, g, o = self.norm(gates, x, h)
        i, f, g, o = sigmoid(i), sigmoid(f), jnp.tanh(g), sigmoid(o)
        c = f * c + i * g
        (normed,) = self.memory_norm(c)
        h = o * jnp.tanh(base.add_bias(normed, self.memory_bias))
        return (c, h), {"input": i, "forget": f, "candidate": g, "output": o, "c": c}
