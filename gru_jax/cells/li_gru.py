"""The light GRU (Ravanelli et al. 2018): one gate, and units that are not bounded."""

from typing import Unpack

from flax import nnx
from jax.nn import relu, sigmoid
from jax.nn.initializers import Initializer

from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.cells.norm import NormedSums


class LiGRUCell(base.Cell):
    """Light GRU: no reset gate, a ReLU, and a norm that keeps it in range.

        [z n] = LN(x W) + h U + b
        h' = sigmoid(z) * h + (1 - sigmoid(z)) * relu(n)      z update gate, n candidate

    x has shape (*batch, D), everything else (*batch, H); LN normalises the units of z and n
    together, see `norm.LayerNorm`. sigmoid(z) and relu(n) are reported under the names "update"
    and "candidate". Without the norm it is `GRUCell(reset="open", activation="relu")`.

    Source: Ravanelli et al. (2018), "Light gated recurrent units for speech recognition". There
    the norm is one over the batch, which a step of one example cannot have.

    Args:
      in_features, hidden_features: D and H.
      keeping_bias: start of b_z, 0 by default: a number, or an initialiser.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "Li-GRU"
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
        sizes, start = (in_features, hidden_features), base.keeping_start(keeping_bias)
        self.update = base.Gate(*sizes, bias_init=start, rngs=rngs, **options)
        self.candidate = base.Gate(*sizes, rngs=rngs, **options)
        self.norm = NormedSums("inputs", 2, hidden_features, rngs=rngs, **options)

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        z, n = self.norm([self.update, self.candidate], x, h)
        z, n = sigmoid(z), relu(n)
        return z * h + (1 - z) * n, {"update": z, "candidate": n}
