"""The contract of a cell.

A module that defines a cell needs only this one: what cells are built of, see `gates`, is
available here too.
"""

import inspect
from typing import Any, ClassVar, Unpack

import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, zeros

from gru_jax import arguments, fields
from gru_jax.axes import Activations, Carry, State, StepInput
from gru_jax.cells.factory import BIASED, GATES, HEARING, KEEPING, GateFactory, chosen
from gru_jax.cells.forms import Form
from gru_jax.cells.gates import (
    ACTIVATIONS,
    GATE_ACTIVATIONS,
    Activation,
    AnyGate,
    CellOptions,
    ConstantGate,
    Gate,
    activation,
    add_bias,
    keeping_start,
    mirror,
    parameter,
    spread,
    state_dtype,
)

__all__ = [
    "ACTIVATIONS",
    "BIASED",
    "GATES",
    "GATE_ACTIVATIONS",
    "HEARING",
    "KEEPING",
    "Activation",
    "AnyGate",
    "Cell",
    "CellOptions",
    "ConstantGate",
    "Form",
    "Gate",
    "GateFactory",
    "activation",
    "add_bias",
    "chosen",
    "keeping_start",
    "mirror",
    "parameter",
    "spread",
]


class Cell(nnx.RNNCellBase):
    """One step of a recurrence.

    A subclass defines `step`, which reads like the published equations. It is usually written
    with gates:

        def step(self, h, x):
            f = jax.nn.sigmoid(self.forget(x, h))
            n = jnp.tanh(self.candidate(x, f * h))
            return f * h + (1 - f) * n, {"forget": f, "candidate": n}

    `step` accepts any number of leading axes, changes no variables and draws no random numbers.
    It does nothing for speed: `gru_jax.scan` finds out what can be computed faster. A cell is
    also a valid `nnx.RNNCellBase`, so `nnx.RNN(cell)` and `nnx.Bidirectional` work.

    A subclass describes itself to the rest of the library by these class attributes:

    TITLE: the name in tables and figures; by default the name of the class without "Cell".
    STATES: the names of its state arrays; the layer above sees the last one.
    LINEAR: whether each unit's new state is linear in its old one, and in no other unit's: then
      `RNN` may compute many steps at once, see its `recurrence`.
    KEEPING_GATE: the name, in its activations, of the gate that decides how much of the old
      state is kept; None if there is no such gate.
    CANDIDATES: the names, in its activations, of what a step adds to the old state, which
      `Regularizer.candidate_dropout` masks; empty where a step replaces the old state.
    HELD: the names of the states that zoneout may hold; by default all.
    STARTS: the names of the states whose start can be learned, those that a step reads; by default
      all.

    A cell whose keeping gate has a bias takes the option `keeping_bias`, the start of that bias: a
    number or an initialiser, where a positive value makes the gate keep.

    Args:
      in_features: D, the number of input features.
      hidden_features: H, the number of units.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      FieldError: an option has a value that is not allowed.
      TypeError: an option is neither the cell's own nor one of `CellOptions`.
    """

    TITLE: ClassVar[str] = ""
    STATES: ClassVar[tuple[str, ...]] = ("h",)
    LINEAR: ClassVar[bool] = False
    KEEPING_GATE: ClassVar[str | None] = None
    CANDIDATES: ClassVar[tuple[str, ...]] = ("candidate",)
    HELD: ClassVar[tuple[str, ...] | None] = None
    STARTS: ClassVar[tuple[str, ...] | None] = None

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "TITLE" not in vars(cls):
            cls.TITLE = cls.__name__.removesuffix("Cell")
        if "step" in vars(cls) and "form" not in vars(cls):
            cls.form = Cell.form  # type: ignore[method-assign]  # new equations, unless it says so
        if {"step", "__call__"} & vars(cls).keys() and "LINEAR" not in vars(cls):
            cls.LINEAR = False

    @classmethod
    def options(cls) -> dict[str, Any]:
        """The names and defaults of the cell's own options, read from its signature."""
        signature = inspect.signature(cls.__init__)
        return {
            name: parameter.default
            for name, parameter in signature.parameters.items()
            if parameter.default is not parameter.empty
        }

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        fields.known_options(type(self), options, [*self.options(), *CellOptions.__annotations__])
        self.in_features = fields.integer("in_features", in_features, 1)
        self.hidden_features = fields.integer("hidden_features", hidden_features, 1)
        param_dtype = options.get("param_dtype", jnp.float32)
        self.state_dtype = state_dtype(param_dtype)
        learned = fields.boolean("learn_initial_state", options.get("learn_initial_state", False))
        shape = (len(self.STARTS or self.STATES), hidden_features)
        self.initial_state = (
            nnx.Param(zeros(rngs.params(), shape, param_dtype)) if learned else None
        )

    def step(self, carry: Carry, inputs: StepInput) -> tuple[Carry, Activations]:
        """One step: the new carry, and the values of all gates by name.

        Args:
          carry: the state, (*batch, H); a tuple of such arrays if there are several `STATES`.
          inputs: x, (*batch, D).
        """
        raise NotImplementedError

    def checked_step(self, carry: Carry, inputs: StepInput) -> tuple[Carry, Activations]:
        """As `step`; what it returns is looked at while it is traced.

        Raises:
          ContractError: `step` is missing, or returns something else.
        """
        name = type(self).__name__
        if type(self).step is Cell.step:
            raise fields.ContractError(f"{name} must define step(carry, inputs)")
        found = self.step(carry, inputs)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[1], dict)):
            told = "must return (new carry, {name of a gate: its value})"
            raise fields.ContractError(f"{name}.step {told}")
        return found

    def output(self, carry: Carry) -> State:
        """What the layer above sees: the last of the state arrays, (*batch, H)."""
        return carry[-1] if len(self.STATES) > 1 else carry

    def kept(self, activations: Activations) -> State | None:
        """The share of the old state that each unit keeps, or None if no gate decides that."""
        return None if self.KEEPING_GATE is None else activations[self.KEEPING_GATE]

    def form(self) -> Form | None:
        """The equations that this cell has in common with other libraries; None if it has none.

        `gru_jax.interop` converts the weights of what is described here.
        """
        return None

    def __call__(self, carry: Carry, inputs: StepInput) -> tuple[Carry, State]:
        inputs = arguments.inputs(inputs, self.in_features, time=False)
        carry, _ = self.checked_step(carry, inputs)
        return carry, self.output(carry)

    def initialize_carry(
        self,
        input_shape: tuple[int, ...],
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        carry_init: Initializer | None = None,
    ) -> Carry:
        """The state before the first step.

        Args:
          input_shape: the shape of one step's input, (*batch, D).
          rngs: the source of random numbers for `carry_init`; not used without it.
          carry_init: draws the state; by default it is the learned initial state, or zero.

        Raises:
          TypeError: `input_shape` is not a tuple of sizes.
          ValueError: it does not end in D, or `carry_init` is given without `rngs`.
        """
        allowed = f"(*batch, {self.in_features}), the shape of one step's input"
        sizes = arguments.shape("input_shape", input_shape, allowed)
        if sizes[-1:] != (self.in_features,):
            raise fields.FieldError("input_shape", sizes, allowed)
        shape = (*sizes[:-1], self.hidden_features)
        if carry_init is not None:
            if rngs is None:
                raise ValueError("carry_init needs rngs")
            stream = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
            states = [carry_init(stream(), shape, self.state_dtype) for _ in self.STATES]
        elif self.initial_state is not None:
            start = self.initial_state[...].astype(self.state_dtype)
            learned = dict(zip(self.STARTS or self.STATES, start, strict=True))
            nothing = jnp.zeros(self.hidden_features, self.state_dtype)
            states = [jnp.broadcast_to(learned.get(name, nothing), shape) for name in self.STATES]
        else:
            states = [jnp.zeros(shape, self.state_dtype) for _ in self.STATES]
        return tuple(states) if len(states) > 1 else states[0]

    @property
    def num_feature_axes(self) -> int:
        return 1
