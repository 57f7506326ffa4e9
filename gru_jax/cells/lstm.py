"""The long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

from collections.abc import Sequence
from typing import Unpack

from flax import nnx
from jax.nn.initializers import Initializer

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base
from gru_jax.initializers import Chrono


class LSTMCell(base.Cell):
    """Long short-term memory; the carry is (c, h).

        i = sigmoid(x W_i + h U_i + b_i)        input gate
        f = sigmoid(x W_f + h U_f + b_f)        forget gate; f = 1 keeps
        g = tanh(x W_g + h U_g + b_g)           candidate
        o = sigmoid(x W_o + h U_o + b_o)        output gate
        c' = f * c + i * g
        h' = o * tanh(c')

    x has shape (*batch, D), everything else (*batch, H). Gates are reported under the names
    "input", "forget", "candidate" and "output". As in cuDNN and PyTorch, there are no peepholes.

    Args:
      in_features, hidden_features: D and H.
      bias: which biases exist: "all", "none", or names among "input", "forget", "candidate" and
        "output".
      input: "learned", or "open" (i = 1).
      forget: "learned"; "keep" (f = 1, the cell of 1997); "replace" (f = 0); or "constant", one
        learned value for each unit, whatever x and h are.
      output: "learned", or "open" (o = 1).
      keeping_bias: start of b_f, 1 by default, after Jozefowicz et al. (2015): a number, or an
        initialiser. `initializers.Chrono` also starts b_i, at -b_f (Tallec & Ollivier 2018).
      gate_activation: "sigmoid", "hard_sigmoid" or a function.
      activation: that of the candidate and of c' in h': "tanh", "relu", "softsign", "identity"
        or a function.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
    """

    TITLE = "LSTM"
    STATES = ("c", "h")
    KEEPING_GATE = "forget"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        bias: str | Sequence[str] = "all",
        input: str = "learned",
        forget: str = "learned",
        output: str = "learned",
        keeping_bias: float | Initializer | None = None,
        gate_activation: str | base.Activation = "sigmoid",
        activation: str | base.Activation = "tanh",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        fields.one_of("input", input, ("learned", "open"))
        fields.one_of("forget", forget, base.KEEPING)
        fields.one_of("output", output, ("learned", "open"))
        self.gate_activation = act = base.activation(
            "gate_activation", gate_activation, base.GATE_ACTIVATIONS
        )
        self.activation = base.activation("activation", activation, base.ACTIVATIONS)

        exists = {
            "input": input == "learned",
            "forget": forget == "learned",
            "candidate": True,
            "output": output == "learned",
        }
        available = [name for name, there in exists.items() if there]
        gates = base.GateFactory(
            in_features, hidden_features, bias, available, rngs=rngs, **options
        )
        self.input = gates.open_or_learned("input", input, act)
        self.forget = gates.keeping("forget", forget, act, keeping_bias, default=1.0)
        self.candidate = gates.learned("candidate", self.activation)
        self.output_gate = gates.open_or_learned("output", output, act)
        if isinstance(keeping_bias, Chrono) and "input" in gates.biases:
            base.mirror(self.forget, self.input)

    def step(
        self, carry: tuple[State, State], x: StepInput
    ) -> tuple[tuple[State, State], Activations]:
        c, h = carry
        i = self.input(x, h)
        f = self.forget(x, h)
        g = self.candidate(x, h)
        o = self.output_gate(x, h)
        c = f * c + i * g
        h = o * self.activation(c)
        return (c, h), {"input": i, "forget": f, "candidate": g, "output": o}

    def form(self) -> base.Form:
        gates = {
            "input": self.input,
            "forget": self.forget,
            "candidate": self.candidate,
            "output": self.output_gate,
        }
        return base.Form("lstm", gates, self.activation, self.gate_activation)
