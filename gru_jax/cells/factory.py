"""Makes the gates of a cell with a choice of biases, some of which may be pinned or constant."""

from collections.abc import Sequence
from typing import Unpack

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
    keeping_start,
)

# What the gate that keeps the old state may be, see `GateFactory.keeping`.
KEEPING = ("learned", "keep", "replace", "constant")


class GateFactory:
    """Makes the gates of one cell, which share sizes, options and the choice of biases.

    Args:
      in_features, hidden_features: D and H.
      bias: which biases exist: "all", "none", one name, or several names.
      available: the names that `bias` may contain.
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
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        self.sizes = in_features, hidden_features
        self.biases = _chosen_biases(bias, available)
        self.rngs, self.options = rngs, options

    def learned(
        self, name: str, activation: Activation | None = None, bias_init: Initializer = zeros
    ) -> Gate:
        """A `Gate`, with a bias if `name` is among the biases that exist."""
        init = bias_init if name in self.biases else None
        return Gate(
            *self.sizes, activation=activation, bias_init=init, rngs=self.rngs, **self.options
        )

    def open_or_learned(self, name: str, mode: str, activation: Activation) -> Gate | PinnedGate:
        """A gate pinned to 1 if `mode` is "open", otherwise a learned one."""
        return PinnedGate(1.0) if mode == "open" else self.learned(name, activation)

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
          mode: "learned"; "constant", a `ConstantGate`; "keep" or "replace", a gate pinned so
            that the old state is kept, or is replaced, entirely.
          activation: the activation of a learned or constant gate.
          bias: the cell's option `keeping_bias`: the start of the bias, or its initialiser; None
            for `default`.
          keep: whether the cell keeps the old state where this gate is 1 (True) or 0 (False). In
            the latter case the bias starts at minus `bias`.

        Raises:
          FieldError: `bias` is given, but the gate has none.
        """
        if bias is not None and name not in self.biases and mode != "constant":
            raise fields.FieldError("keeping_bias", bias, f"left out: the {name} gate has no bias")
        bias_init = keeping_start(bias, default, keep)
        if mode == "learned":
            return self.learned(name, activation, bias_init)
        if mode == "constant":
            return ConstantGate(
                self.sizes[1],
                activation=activation,
                bias_init=bias_init,
                rngs=self.rngs,
                param_dtype=self.options.get("param_dtype", jnp.float32),
            )
        return PinnedGate(float((mode == "keep") == keep))


def _chosen_biases(bias: str | Sequence[str], available: Sequence[str]) -> frozenset[str]:
    """The names that an option `bias` selects: "all", "none", one name, or several names."""
    if bias == "all":
        return frozenset(available)
    if bias == "none":
        return frozenset()
    if isinstance(bias, str):
        return frozenset([fields.one_of("bias", bias, ("all", "none", *available))])
    names = fields.sequence("bias", bias, "a name or a list of names")
    return frozenset(fields.one_of("bias", name, available) for name in names)
