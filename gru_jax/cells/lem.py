"""Long expressive memory (Rusch et al. 2022)."""

import functools
from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.initializers import symmetric


class LEMCell(base.Cell):
    """Long expressive memory: two states, each with time steps of its own; the carry is (z, y).

        d_z = dt sigmoid(x V_1 + y W_1 + b_1)                   step of z
        d_y = dt sigmoid(x V_2 + y W_2 + b_2)                   step of y
        z' = (1 - d_z) * z + d_z * tanh(x V_z + y W_z + b_z)
        y' = (1 - d_y) * y + d_y * tanh(x V_y + z' W_y + b_y)

    x has shape (*batch, D), everything else (*batch, H). The layer above sees y. d_z, d_y and the
    two tanh are reported under the names "memory_step", "output_step", "memory" and "candidate".

    Source: Rusch et al. (2022), "Long expressive memory for sequence modeling".

    Args:
      in_features, hidden_features: D and H.
      dt: the longest time step, above 0.
      rngs: the source of the parameters.
      options: see `CellOptions`; all kernels, and all biases, start at U(-a, a), a = 1 / sqrt(H).

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "LEM"
    STATES = ("z", "y")
    KEEPING_GATE = "memory_step"  # that of z, the memory
    CANDIDATES = ("memory", "candidate")

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        dt: float = 1.0,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.dt = fields.real("dt", dt, above=0)
        start = symmetric(hidden_features**-0.5)
        options.setdefault("kernel_init", start)
        options.setdefault("recurrent_init", start)
        make = functools.partial(
            base.Gate, in_features, hidden_features, bias_init=start, rngs=rngs, **options
        )
        self.memory_step, self.output_step = make(activation=sigmoid), make(activation=sigmoid)
        self.memory, self.candidate = make(activation=jnp.tanh), make(activation=jnp.tanh)

    def step(
        self, carry: tuple[State, State], x: StepInput
    ) -> tuple[tuple[State, State], Activations]:
        z, y = carry
        d_z = self.dt * self.memory_step(x, y)
        d_y = self.dt * self.output_step(x, y)
        m = self.memory(x, y)
        z = (1 - d_z) * z + d_z * m
        n = self.candidate(x, z)
        y = (1 - d_y) * y + d_y * n
        return (z, y), {"memory_step": d_z, "output_step": d_y, "memory": m, "candidate": n}

    def kept(self, activations: Activations) -> State:
        return 1 - activations["memory_step"]
