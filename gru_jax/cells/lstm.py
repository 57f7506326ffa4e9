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
    "input", "forget", "candidate" and "output", and c' under "c". As in cuDNN and PyTorch, there
    are no peepholes by default. With them (Gers & Schmidhuber 2000) the sums of i and f also
    contain c * p_i and c * p_f, and that of o contains c' * p_o: each unit sees its own memory.

    Args:
      in_features, hidden_features: D and H.
      bias: which biases exist: "all", "none", or names among "input", "forget", "candidate" and
        "output".
      input: "learned"; "inputs" or "state", a gate that hears x or h alone; "constant", one
        learned value for each unit, whatever x and h are; "open" (i = 1); or "coupled"
        (i = 1 - f, which Greff et al. 2017 call CIFG).
      forget: "learned", "inputs", "state" or "constant", as for `input`; "refined" by a second
        gate (Gu et al. 2020, who also couple i), see `gates.RefinedGate`; "keep" (f = 1, the cell
        of 1997); or "replace" (f = 0).
      output: "learned", "inputs", "state", "constant" or "open" (o = 1), as for `input`.
      peepholes: which gates have them: "none", "all", or names among "input", "forget" and
        "output"; a gate must be "learned", "inputs" or "state" to have one.
      keeping_bias: start of b_f, 1 by default, after Jozefowicz et al. (2015), or
        `initializers.uniform_gate` for "refined": a number, or an initialiser.
        `initializers.Chrono` also starts b_i, at -b_f (Tallec & Ollivier 2018).
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
        peepholes: str | Sequence[str] = "none",
        keeping_bias: float | Initializer | None = None,
        gate_activation: str | base.Activation = "sigmoid",
        activation: str | base.Activation = "tanh",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        fields.one_of("input", input, (*base.GATES, "coupled"))
        fields.one_of("forget", forget, base.KEEPING)
        fields.one_of("output", output, base.GATES)
        if input == "coupled" and forget in ("keep", "replace"):
            allowed = f'another mode with forget = "{forget}", where 1 - f is one number'
            raise fields.FieldError("input", input, allowed)
        self.gate_activation = act = base.activation(
            "gate_activation", gate_activation, base.GATE_ACTIVATIONS
        )
        self.activation = base.activation("activation", activation, base.ACTIVATIONS)

        modes = {"input": input, "forget": forget, "candidate": "learned", "output": output}
        gates = base.GateFactory(
            in_features,
            hidden_features,
            bias,
            [name for name, mode in modes.items() if mode in base.BIASED],
            peepholes=base.chosen(
                "peepholes",
                peepholes,
                [n for n, mode in modes.items() if mode in base.HEARING and n != "candidate"],
            ),
            rngs=rngs,
            **options,
        )
        self.coupled = input == "coupled"  # then there is no gate but f
        self.input = gates.gate("input", "open" if self.coupled else input, act)
        self.forget = gates.keeping("forget", forget, act, keeping_bias, default=1.0)
        self.candidate = gates.learned("candidate", self.activation)
        self.output_gate = gates.gate("output", output, act)
        if isinstance(keeping_bias, Chrono) and "input" in gates.biases:
            base.mirror(self.forget, self.input)

    def step(
        self, carry: tuple[State, State], x: StepInput
    ) -> tuple[tuple[State, State], Activations]:
        c, h = carry
        i = self.input(x, h, c)
        f = self.forget(x, h, c)
        if self.coupled:
            i = 1 - f
        g = self.candidate(x, h)
        c = f * c + i * g
        o = self.output_gate(x, h, c)
        h = o * self.activation(c)
        return (c, h), {"input": i, "forget": f, "candidate": g, "output": o, "c": c}

    def form(self) -> base.Form:
        gates = {
            "input": self.input,
            "forget": self.forget,
            "candidate": self.candidate,
            "output": self.output_gate,
        }
        return base.Form("lstm", gates, self.activation, self.gate_activation)
