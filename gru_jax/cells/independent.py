"""The independently recurrent network (Li et al. 2018)."""

from typing import Unpack

from flax import nnx
from jax.nn.initializers import uniform

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class IndRNNCell(base.Cell):
    """Independently recurrent network: each unit hears itself alone.

        h' = relu(x W + u * h + b)

    x has shape (*batch, D); h has shape (*batch, H), u has shape (H,). The new state is reported
    under the name "candidate". Units hear each other only through another layer. The paper keeps
    |u| below 2^(1/T) during training, which is left to the user.

    Source: Li et al. (2018), "Independently recurrent neural network (IndRNN)".

    Args:
      in_features, hidden_features: D and H.
      activation: "relu", "tanh", "softsign", "identity" or a function.
      rngs: the source of the parameters.
      options: see `CellOptions`; `recurrent_init` is that of u, U(0, 1) by default.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "IndRNN"
    CANDIDATES = ()

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation: str | base.Activation = "relu",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        options.setdefault("recurrent_init", uniform(1.0))
        self.candidate = base.Gate(
            in_features,
            hidden_features,
            activation=base.activation("activation", activation, base.ACTIVATIONS),
            recurrent="diagonal",
            rngs=rngs,
            **options,
        )

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        h = self.candidate(x, h)
        return h, {"candidate": h}
