"""The coupled oscillatory network (Rusch & Mishra 2021)."""

from typing import Unpack

import jax.numpy as jnp
from flax import nnx

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class CoRNNCell(base.Cell):
    """Coupled oscillators, one a unit; the carry is (z, y): velocity and position.

        z' = z + dt (tanh(x W + z U_z + y U_y + b) - gamma y - epsilon z)
        y' = y + dt z'

    x has shape (*batch, D), everything else (*batch, H). The layer above sees y. The tanh is
    reported under the name "force". There is no gate.

    Source: Rusch & Mishra (2021), "Coupled oscillatory recurrent neural network (coRNN)". The
    defaults are those with which the authors' program trains on the adding problem.

    Args:
      in_features, hidden_features: D and H.
      dt: the time step, above 0.
      gamma: the square of the frequency, at least 0.
      epsilon: the damping, at least 0.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "coRNN"
    STATES = ("z", "y")
    CANDIDATES = ("force",)

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        dt: float = 0.06,
        gamma: float = 66.0,
        epsilon: float = 15.0,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.dt = fields.real("dt", dt, above=0)
        self.gamma = fields.real("gamma", gamma, least=0)
        self.epsilon = fields.real("epsilon", epsilon, least=0)
        sizes = in_features, hidden_features
        self.position = base.Gate(*sizes, rngs=rngs, **options)
        self.velocity = base.Gate(*sizes, inputs=False, bias_init=None, rngs=rngs, **options)

    def step(
        self, carry: tuple[State, State], x: StepInput
    ) -> tuple[tuple[State, State], Activations]:
        z, y = carry
        force = jnp.tanh(self.position(x, y) + self.velocity(x, z))
        z = z + self.dt * (force - self.gamma * y - self.epsilon * z)
        y = y + self.dt * z
        return (z, y), {"force": force}
