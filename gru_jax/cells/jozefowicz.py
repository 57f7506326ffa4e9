"""The mutations of a GRU that a search over ten thousand cells found (Jozefowicz et al. 2015)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import Initializer

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class MUT1Cell(base.Cell):
    """First mutation of a GRU: its update gate does not hear h.

        z = sigmoid(x W_z + b_z)                          update gate, z writes
        r = sigmoid(x W_r + h U_r + b_r)                  reset gate
        n = tanh(tanh(x W_n) + (r * h) U_n + b_n)         candidate
        h' = (1 - z) * h + z * n

    x has shape (*batch, D), everything else (*batch, H). Gates are reported under the names
    "reset", "update" and "candidate".

    Source: Jozefowicz et al. (2015), "An empirical exploration of recurrent network
    architectures". MUT2, with a kernel W_r, is `GRUCell(reset_after=False, update_gate="write")`.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of -b_z, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "MUT1"
    KEEPING_GATE = "update"

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
        self.reset = base.Gate(*sizes, activation=sigmoid, rngs=rngs, **options)
        self.update = base.Gate(
            *sizes, activation=sigmoid, recurrent="none", bias_init=start, rngs=rngs, **options
        )
        self.inputs = base.Gate(
            *sizes, activation=jnp.tanh, recurrent="none", bias_init=None, rngs=rngs, **options
        )
        self.candidate = base.Gate(*sizes, inputs=False, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        z = self.update(x, h)
        r = self.reset(x, h)
        n = jnp.tanh(self.inputs(x, h) + self.candidate(x, r * h))
        return (1 - z) * h + z * n, {"reset": r, "update": z, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["update"]


class MUT3Cell(base.Cell):
    """Third mutation of a GRU: its update gate hears tanh(h).

        z = sigmoid(x W_z + tanh(h) U_z + b_z)            update gate, z writes
        r = sigmoid(x W_r + h U_r + b_r)                  reset gate
        n = tanh(x W_n + (r * h) U_n + b_n)               candidate
        h' = (1 - z) * h + z * n

    x has shape (*batch, D), everything else (*batch, H). Gates are reported under the names
    "reset", "update" and "candidate".

    Source: Jozefowicz et al. (2015), "An empirical exploration of recurrent network
    architectures".

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of -b_z, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "MUT3"
    KEEPING_GATE = "update"

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
        self.reset = base.Gate(*sizes, activation=sigmoid, rngs=rngs, **options)
        self.update = base.Gate(*sizes, activation=sigmoid, bias_init=start, rngs=rngs, **options)
        self.candidate = base.Gate(*sizes, activation=jnp.tanh, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        z = self.update(x, jnp.tanh(h))
        r = self.reset(x, h)
        n = self.candidate(x, r * h)
        return (1 - z) * h + z * n, {"reset": r, "update": z, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["update"]
