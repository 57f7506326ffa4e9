"""The antisymmetric network (Chang et al. 2019)."""

import functools
from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn import sigmoid
from jax.nn.initializers import lecun_normal

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base, skew


class AntisymmetricCell(base.Cell):
    """Antisymmetric network: Euler's steps of a system that neither grows nor forgets much.

        A = S - gamma I,   S = -S^T
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
      options: see `CellOptions`; S starts as U - U^T, where `recurrent_init` is that of U, LeCun
        normal by default.

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
        start = options.pop("recurrent_init", lecun_normal())
        make = functools.partial(
            base.Gate, in_features, hidden_features, recurrent="none", rngs=rngs, **options
        )
        self.candidate = make()
        self.skew = skew.parameter(
            start, rngs, hidden_features, options.get("param_dtype", jnp.float32)
        )
        self.update = make() if gated else None

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        kernel = skew.kernel(self.skew, self.hidden_features, h.dtype)
        heard = self.candidate.hears(h)
        across = self.candidate.product(heard, kernel) - self.gamma * heard
        n = jnp.tanh(self.candidate(x, h) + across)
        if self.update is None:
            return h + self.epsilon * n, {"candidate": n}
        z = sigmoid(self.update(x, h) + across)
        return h + self.epsilon * z * n, {"update": z, "candidate": n}
