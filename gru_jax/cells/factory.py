"""Makes the gates of a cell with a choice of biases, some of which may be pinned or constant."""

from collections.abc import Sequence
from typing import Any, Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, zeros

from gru_jax import fields
from gru_jax.cells.gates import (
    Activation,
    AnyGate,
    CellOptions,
    ConstantGate,
    Gate,
    PinnedGate,
    RefinedGate,
    keeping_start,
)
from gru_jax.initializers import uniform_gate

# What a gate may be, see `GateFactory.gate`; the first three hear something.
HEARING: dict[str, dict[str, Any]] = {
    "learned": {},
    "inputs": {"recurrent": "none"},
    "state": {"inputs": False},
}
GATES = (*HEARING, "constant", "open")
BIASED = (*HEARING, "refined")  # those whose bias is a choice
# What the gate that keeps the old state may be, see `GateFactory.keeping`.
KEEPING = (*HEARING, "constant", "refined", "keep", "replace")


class GateFactory:
    """Makes the gates of one cell, which share sizes, options and the choice of biases.

    Args:
      in_features, hidden_features: D and H.
      bias: which biases exist: "all", "none", one name, or several names.
      available: the names that `bias` may contain.
      peepholes: the gates that have a peephole, see `Gate`.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: `bias` contains a name that is not available.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: str | Sequence[str],
        available: Sequence[str],
        *,
        peepholes: frozenset[str] = frozenset(),
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        self.sizes = in_features, hidden_features
        self.biases = chosen("bias", bias, available)
        self.peepholes = peepholes
        self.rngs, self.options = rngs, options

    def learned(
        self,
        name: str,
        activation: Activation | None = None,
        bias_init: Initializer = zeros,
        mode: str = "learned",
    ) -> Gate:
        """A `Gate`, with a bias if `name` is among the biases that exist.

        Args:
          mode: what it hears: "learned", x and h; "inputs" or "state", x or h alone.
        """
        init = bias_init if name in self.biases else None
        return Gate(
            *self.sizes,
            activation=activation,
            bias_init=init,
            peephole=name in self.peepholes,
            rngs=self.rngs,
            **HEARING[mode],
            **self.options,
        )

    def gate(
        self, name: str, mode: str, activation: Activation, bias_init: Initializer = zeros
    ) -> AnyGate:
        """A gate of any kind.

        Args:
          name: the name of its bias.
          mode: "learned", "inputs" or "state", see `learned`; "constant", a `ConstantGate`;
            "refined", a `RefinedGate`; or "open", pinned to 1.
          activation: that of all but the last.
          bias_init: the start of its bias.
        """
        if mode == "open":
            return PinnedGate(1.0)
        if mode == "constant":
            return ConstantGate(
                self.sizes[1],
                activation=activation,
                bias_init=bias_init,
                rngs=self.rngs,
                param_dtype=self.options.get("param_dtype", jnp.float32),
            )
        if mode == "refined":
            return RefinedGate(
                self.learned(name, activation, bias_init), self.learned(name, activation)
            )
        return self.learned(name, activation, bias_init, mode)

    def keeping(
        self,
        name: str,
        mode: str,
        activation: Activation,
        bias: float | Initializer | None,
        *,
        default: float = 0.0,
        keep: bool = True,
    ) -> AnyGate:
        """The gate that decides how much of the old state is kept.

        Args:
          name: the name of its bias.
          mode: "keep" or "replace", a gate pinned so that the old state is kept, or is replaced,
            entirely; or any mode of `gate` but "open".
          activation: that of a gate that is not pinned.
          bias: the cell's option `keeping_bias`: the start of the bias, or its initialiser; None
            for `default`, or for a refined gate that is uniform at the start.
          keep: whether the cell keeps the old state where this gate is 1 (True) or 0 (False). In
            the latter case the bias starts at minus `bias`.

        Raises:
          FieldError: `bias` is given, but the gate has none.
        """
        if bias is not None and name not in self.biases and mode != "constant":
            raise fields.FieldError("keeping_bias", bias, f"left out: the {name} gate has no bias")
        if mode in ("keep", "replace"):
            return PinnedGate(float((mode == "keep") == keep))
        start = keeping_start(bias, uniform_gate() if mode == "refined" else default, keep)
        return self.gate(name, mode, activation, start)


def chosen(field: str, value: str | Sequence[str], available: Sequence[str]) -> frozenset[str]:
    """The names that an option selects: "all", "none", one name, or several names.

    Raises:
      FieldError: the value contains a name that is not available.
    """
    if value == "all":
        return frozenset(available)
    if value == "none":
        return frozenset()
    if isinstance(value, str):
        return frozenset([fields.one_of(field, value, ("all", "none", *available))])
    names = fields.sequence(field, value, "a name or a list of names")
    return frozenset(fields.one_of(field, name, available) for name in names)
