"""The plain recurrent network (Elman 1990)."""

from typing import Unpack

from flax import nnx
from jax.nn.initializers import orthogonal, zeros

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.initializers import identity


class VanillaCell(base.Cell):
    """Elman's recurrent network.

        h' = tanh(x W + h U + b)

    x has shape (*batch, D), h has shape (*batch, H). There are no gates; the new state is
    reported under the name "candidate".

    Args:
      in_features, hidden_features: D and H.
      activation: "tanh", "relu", "softsign", "identity" or a function.
      bias: "all" or "none".
      recurrent_start: initial U: "orthogonal", or "identity" (with "relu", the IRNN of Le, Jaitly
        & Hinton 2015).
      scale: factor on the initial U, and so the value of all its singular values.
      rngs: the source of the parameters.
      options: see `CellOptions`; if they contain `recurrent_init`, it replaces `recurrent_start`
        and `scale`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "vanilla RNN"
    CANDIDATES = ()

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation: str | base.Activation = "tanh",
        bias: str = "all",
        recurrent_start: str = "orthogonal",
        scale: float = 1.0,
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.activation = base.activation("activation", activation, base.ACTIVATIONS)
        fields.one_of("bias", bias, ("all", "none"))
        fields.real("scale", scale, least=0)
        starts = {"orthogonal": orthogonal, "identity": identity}
        start = starts[fields.one_of("recurrent_start", recurrent_start, starts)]
        options.setdefault("recurrent_init", start(scale))
        self.candidate = base.Gate(
            in_features,
            hidden_features,
            bias_init=zeros if bias == "all" else None,
            rngs=rngs,
            **options,
        )

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        h = self.activation(self.candidate(x, h))
        return h, {"candidate": h}

    def form(self) -> base.Form:
        return base.Form("vanilla", {"candidate": self.candidate}, self.activation)
