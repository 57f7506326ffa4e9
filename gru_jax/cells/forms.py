"""What a cell is in terms that other libraries share."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from flax import nnx

from gru_jax.cells.gates import Activation, AnyGate, Gate

# The equations that have a name elsewhere; each cell's docstring has them.
EQUATIONS = {
    "gru": "a GRU that resets after the product",
    "gru_reset_before": "a GRU that resets before the product",
    "lstm": "an LSTM",
    "vanilla": "a vanilla RNN",
}


@dataclasses.dataclass(frozen=True)
class Form:
    """A cell as an instance of equations that other libraries have, too.

    Attributes:
      equations: which, a key of `EQUATIONS`.
      gates: the gates of these equations by name, as in the cell's activations; not all of them
        need be a `Gate`, see `unusual`.
      activation: the function of the candidate.
      gate_activation: that of the other gates; None if there are none.
      recurrent_bias: c_n of a "gru", added to its candidate's h U; None if it has none.
    """

    equations: str
    gates: Mapping[str, Any]
    activation: Activation
    gate_activation: Activation | None = None
    recurrent_bias: Any = None

    @property
    def unusual(self) -> list[str]:
        """The gates that are anything else than a learned x W + h U, perhaps with a bias."""

        def learned(gate: AnyGate) -> bool:
            parts = {"kernel", "recurrent_kernel"}
            return isinstance(gate, Gate) and set(nnx.state(gate, nnx.Param)) - {"bias"} == parts

        return [name for name, gate in self.gates.items() if not learned(gate)]

    @property
    def sizes(self) -> tuple[int, ...]:
        """D and H; behind the number of cells, if they are several in one."""
        return next(iter(self.gates.values())).kernel.shape

    @property
    def biases(self) -> set[str]:
        """Those that exist: names of gates, and "recurrent"."""
        own = {name for name, gate in self.gates.items() if gate.bias is not None}
        return own if self.recurrent_bias is None else own | {"recurrent"}
