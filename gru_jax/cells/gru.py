"""The gated recurrent unit (Cho et al. 2014) in its published variants."""

from collections.abc import Sequence
from typing import Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, zeros

from gru_jax import fields
from gru_jax.axes import Activations, State, StepInput
from gru_jax.cells import base


class GRUCell(base.Cell):
    """Gated recurrent unit.

        r = sigmoid(x W_r + h U_r + b_r)                    reset gate
        z = sigmoid(x W_z + h U_z + b_z)                    update gate
        n = tanh(x W_n + b_n + r * (h U_n + c_n))           candidate, reset_after=True
        n = tanh(x W_n + b_n + (r * h) U_n)                 candidate, reset_after=False
        h' = z * h + (1 - z) * n                            update_gate="keep"
        h' = (1 - z) * h + z * n                            update_gate="write"

    x has shape (*batch, D); h, r, z, n have shape (*batch, H). Gates are reported under the
    names "reset", "update" and "candidate".

    `reset_after=True` with "keep" is the GRU of cuDNN, PyTorch, Keras and `flax.linen`
    (`nnx.GRUCell` has no c_n); `reset_after=False` with "keep" is that of Cho et al. (2014, v3),
    and with "write" that of Chung et al. (2014). docs/gru.md compares them.

    Parameters that could not affect the output do not exist: c_n exists only if the reset gate
    hears something and acts after the product; if the update gate always keeps the state, neither
    the reset gate nor the candidate exist.

    Args:
      in_features, hidden_features: D and H.
      reset_after: the reset gate multiplies the product h U_n (True) or the state h (False).
      update_gate: what z = 1 does to the old state: "keep" or "write" (over it).
      bias: which biases exist: "all", "none", or names among "reset", "update", "candidate" and
        "recurrent" (c_n).
      reset: "learned"; "inputs" or "state", a gate that hears x or h alone; "constant", one
        learned value for each unit, whatever x and h are; or "open" (r = 1).
      update: "learned", "inputs", "state" or "constant", as for `reset`; "refined" by a second
        gate (Gu et al. 2020), see `gates.RefinedGate`; "keep" (the state never changes); or
        "replace" (h' = n).
      keeping_bias: start of b_z, 0 by default (`initializers.uniform_gate` for "refined"): a
        number, or an initialiser such as `initializers.Chrono`. A positive value keeps in both
        conventions, so for "write" b_z starts at its negative.
      gate_activation: "sigmoid", "hard_sigmoid" or a function.
      activation: that of the candidate: "tanh", "relu", "softsign", "identity" or a function.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.

    >>> import jax.numpy as jnp
    >>> cell = GRUCell(2, 3, keeping_bias=1.0, rngs=nnx.Rngs(0))
    >>> h = cell.initialize_carry((5, 2))
    >>> h, y = cell(h, jnp.ones((5, 2)))
    >>> y.shape
    (5, 3)
    """

    TITLE = "GRU"
    KEEPING_GATE = "update"

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        reset_after: bool = True,
        update_gate: str = "keep",
        bias: str | Sequence[str] = "all",
        reset: str = "learned",
        update: str = "learned",
        keeping_bias: float | Initializer | None = None,
        gate_activation: str | base.Activation = "sigmoid",
        activation: str | base.Activation = "tanh",
        rngs: nnx.Rngs,
        **options: Unpack[base.CellOptions],
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.reset_after = fields.boolean("reset_after", reset_after)
        self.keeps = fields.one_of("update_gate", update_gate, ("keep", "write")) == "keep"
        fields.one_of("reset", reset, base.GATES)
        fields.one_of("update", update, base.KEEPING)
        self.gate_activation = base.activation(
            "gate_activation", gate_activation, base.GATE_ACTIVATIONS
        )
        self.activation = base.activation("activation", activation, base.ACTIVATIONS)

        writes = update != "keep"
        heard = writes and reset in base.HEARING
        exists = {
            "reset": heard,
            "update": update in base.BIASED,
            "candidate": writes,
            "recurrent": heard and reset_after,
        }
        available = [name for name, there in exists.items() if there]
        gates = base.GateFactory(
            in_features, hidden_features, bias, available, rngs=rngs, **options
        )
        act = self.gate_activation
        self.reset = gates.gate("reset", reset if writes else "open", act)
        self.update = gates.keeping("update", update, act, keeping_bias, keep=self.keeps)
        self.candidate = gates.learned("candidate") if writes else None
        self.recurrent_bias = (
            base.parameter(zeros, rngs, (hidden_features,), options.get("param_dtype", jnp.float32))
            if "recurrent" in gates.biases
            else None
        )

    def step(self, h: State, x: StepInput) -> tuple[State, Activations]:
        z = self.update(x, h)
        if self.candidate is None:  # z always keeps
            return h, {"update": z}
        r = self.reset(x, h)
        if self.reset_after:
            across = r * base.add_bias(self.candidate.recur(h), self.recurrent_bias)
        else:
            across = self.candidate.recur(r * h)
        n = self.activation(self.candidate.project(x) + across)
        h = z * h + (1 - z) * n if self.keeps else (1 - z) * h + z * n
        return h, {"reset": r, "update": z, "candidate": n}

    def kept(self, activations: Activations) -> State:
        z = activations["update"]
        return z if self.keeps else 1 - z

    def form(self) -> base.Form | None:
        if not self.keeps or self.candidate is None:
            return None
        return base.Form(
            equations="gru" if self.reset_after else "gru_reset_before",
            gates={"reset": self.reset, "update": self.update, "candidate": self.candidate},
            activation=self.activation,
            gate_activation=self.gate_activation,
            recurrent_bias=self.recurrent_bias,
        )
