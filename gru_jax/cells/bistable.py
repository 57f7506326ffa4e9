"""Bistable recurrent cells (Vecoven, Ernst & Drion 2021)."""

from typing import ClassVar, Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer, constant, glorot_uniform

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class BRCCell(base.Cell):
    """Bistable recurrent cell: with a > 1 a unit has two states to which it returns.

        c = sigmoid(x W_c + u_c * h + b_c)        update gate, c keeps
        a = 1 + tanh(x W_a + u_a * h + b_a)       feedback, 0 to 2
        n = tanh(x W_n + a * h)                   candidate
        h' = c * h + (1 - c) * n

    x has shape (*batch, D); h, c, a, n have shape (*batch, H), u_c and u_a have shape (H,): each
    unit hears itself alone. Gates are reported under the names "update", "feedback" and
    "candidate".

    Source: Vecoven, Ernst & Drion (2021), "A bio-inspired bistable recurrent cell allows for
    long-lasting memory", whose starts these are.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_c, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`; kernels start uniform after Glorot, u_c and u_a at 1.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "BRC"
    KEEPING_GATE = "update"
    RECURRENT: ClassVar[str] = "diagonal"
    START: ClassVar[Initializer] = staticmethod(constant(1.0))

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
        sizes = in_features, hidden_features
        options.setdefault("kernel_init", glorot_uniform())
        options.setdefault("recurrent_init", self.START)
        self.update = base.Gate(
            *sizes,
            activation=sigmoid,
            recurrent=self.RECURRENT,
            bias_init=base.keeping_start(keeping_bias),
            rngs=rngs,
            **options,
        )
        self.feedback = base.Gate(
            *sizes, activation=jnp.tanh, recurrent=self.RECURRENT, rngs=rngs, **options
        )
        self.candidate = base.Gate(*sizes, recurrent="none", bias_init=None, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        c = self.update(x, h)
        a = 1 + self.feedback(x, h)
        n = jnp.tanh(self.candidate(x, h) + a * self.candidate.hears(h))
        return c * h + (1 - c) * n, {"update": c, "feedback": a, "candidate": n}


class NBRCCell(BRCCell):
    """Recurrently neuromodulated bistable cell: a `BRCCell` whose gates hear all units.

        c = sigmoid(x W_c + h U_c + b_c)          update gate, c keeps
        a = 1 + tanh(x W_a + h U_a + b_a)         feedback, 0 to 2
        n = tanh(x W_n + a * h)                   candidate
        h' = c * h + (1 - c) * n

    x has shape (*batch, D), h, c, a, n have shape (*batch, H), U_c and U_a (H, H). Gates are
    reported under the names "update", "feedback" and "candidate".

    Source: Vecoven, Ernst & Drion (2021), "A bio-inspired bistable recurrent cell allows for
    long-lasting memory".

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_c, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`; kernels start uniform after Glorot.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "nBRC"
    RECURRENT = "full"
    START = staticmethod(glorot_uniform())
