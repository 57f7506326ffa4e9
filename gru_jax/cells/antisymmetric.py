"""The antisymmetric network (Chang et al. 2019)."""

from typing import Any, Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import lecun_normal, zeros

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class AntisymmetricCell(base.Cell):
    """Antisymmetric network: Euler's steps of a system that neither grows nor forgets much.

        A = U - U^T - gamma I
        n = tanh(x W + h A + b)                                 candidate
        h' = h + epsilon n                                      gated=False
        z = sigmoid(x W_z + h A + b_z)                          update gate
        h' = h + epsilon z * n                                  gated=True

    x has shape (*batch, D), everything else (*batch, H). n, and z if there is one, are reported
    under the names "candidate" and "update".

    Source: Chang et al. (2019), "AntisymmetricRNN: a dynamical system view on recurrent neural
    networks".

    Args:
      in_features, hidden_features: D and H.
      gated: whether there is an update gate.
      epsilon: the length of a step, above 0.
      gamma: how fast the system forgets, at least 0.
      rngs: the source of the parameters.
      options: see `CellOptions`; `recurrent_init` is that of U, LeCun normal by default.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "antisymmetric RNN"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        gated: bool = False,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.gated = fields.boolean("gated", gated)
        self.epsilon = fields.real("epsilon", epsilon, above=0)
        self.gamma = fields.real("gamma", gamma, least=0)
        options.setdefault("recurrent_init", lecun_normal())
        sizes = in_features, hidden_features
        self.candidate = base.Gate(*sizes, rngs=rngs, **options)
        self.update = (
            base.Gate(*sizes, recurrent="none", bias_init=zeros, rngs=rngs, **options)
            if gated
            else None
        )

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        across = self.candidate.product(h, self._antisymmetric()) - self.gamma * h
        n = jnp.tanh(self.candidate.project(x) + across)
        if self.update is None:
            return h + self.epsilon * n, {"candidate": n}
        z = sigmoid(self.update(x, h) + across)
        return h + self.epsilon * z * n, {"update": z, "candidate": n}

    def _antisymmetric(self) -> Any:
        u = self.candidate.recurrent_kernel[...]
        return u - u.T
