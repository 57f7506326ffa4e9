"""The contract that every cell keeps, and the affine map that every gate is."""

import dataclasses
import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, constant, lecun_normal, orthogonal, zeros

from gru_jax import fields
from gru_jax.axes import Activations, Array, Carry, State, StepInput
from gru_jax.initializers import negated

Activation = Callable[[Array], Array]

ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "softsign": jax.nn.soft_sign,
    "identity": lambda a: a,
}
GATE_ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


def activation(field: str, value: str | Activation, named: dict[str, Activation]) -> Activation:
    """The function that `value` names in `named`, or `value` itself if it is a function."""
    if callable(value):
        return value
    return named[fields.one_of(field, value, named)]


class CellOptions(TypedDict, total=False):
    """What every cell takes beside its own options.

    kernel_init: start of each gate's input kernel W (D, H), drawn for each gate by itself;
      LeCun normal by default.
    recurrent_init: the same for the recurrent kernel U (H, H); orthogonal by default.
    learn_initial_state: the state before the first step is a parameter (zeros at the
      start of training) in place of zeros.
    dtype: precision of the matrix products' operands; `param_dtype` by default. Products
      accumulate, and gates and state stay, in float32 at least: bfloat16 cannot hold an
      update gate between 0.996 and 1, that is a memory longer than 256 steps.
    param_dtype: what parameters are stored in.
    """

    kernel_init: Initializer
    recurrent_init: Initializer
    learn_initial_state: bool
    dtype: Any
    param_dtype: Any


class Gate(nnx.Module):
    """activation(x W + h U + b), and that sum alone where no activation is given."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation: Activation | None = None,
        bias_init: Initializer | None = zeros,
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        param_dtype = options.get("param_dtype", jnp.float32)
        self.dtype = options.get("dtype") or param_dtype
        self.state_dtype = state_dtype(param_dtype)
        self.activation = activation
        kernel_init = options.get("kernel_init", lecun_normal())
        recurrent_init = options.get("recurrent_init", orthogonal())
        square = (hidden_features, hidden_features)
        self.kernel = parameter(kernel_init, rngs, (in_features, hidden_features), param_dtype)
        self.recurrent_kernel = parameter(recurrent_init, rngs, square, param_dtype)
        self.bias = (
            parameter(bias_init, rngs, (hidden_features,), param_dtype) if bias_init else None
        )

    def __call__(self, inputs: StepInput, state: State) -> State:
        total = self.project(inputs) + self.recur(state)
        return total if self.activation is None else self.activation(total)

    def project(self, inputs: StepInput) -> State:
        """x W + b."""
        return add_bias(self._product(inputs, self.kernel[...]), self.bias)

    def recur(self, state: State) -> State:
        """h U."""
        return self._product(state, self.recurrent_kernel[...])

    def _product(self, left: Array, kernel: Array) -> Array:
        """In this gate's precision."""
        return jnp.matmul(
            left.astype(self.dtype),
            kernel.astype(self.dtype),
            preferred_element_type=self.state_dtype,
        )


class ConstantGate(nnx.Module):
    """A gate that hears neither input nor state: activation(b), one learned number a unit."""

    def __init__(
        self,
        hidden_features: int,
        *,
        activation: Activation,
        bias_init: Initializer,
        rngs: nnx.Rngs,
        param_dtype: Any = jnp.float32,
    ):
        self.activation = activation
        self.bias = parameter(bias_init, rngs, (hidden_features,), param_dtype)

    def __call__(self, inputs: StepInput, state: State) -> State:
        del inputs
        return jnp.broadcast_to(self.activation(self.bias[...].astype(state.dtype)), state.shape)


@dataclasses.dataclass(frozen=True)
class PinnedGate:
    """A gate that always has the same value."""

    value: float

    def __call__(self, inputs: StepInput, state: State) -> State:
        del inputs
        return jnp.full_like(state, self.value)


AnyGate = Gate | ConstantGate | PinnedGate


class GateFactory:
    """Makes a cell's gates: those that exist, each with the bias that was asked for."""

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
        init = bias_init if name in self.biases else None
        return Gate(
            *self.sizes, activation=activation, bias_init=init, rngs=self.rngs, **self.options
        )

    def open_or_learned(self, name: str, mode: str, activation: Activation) -> Gate | PinnedGate:
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
        """The gate that keeps the past, in one of its `KEEPING` modes.

        Args:
          bias: the cell's option `keeping_bias`; None: `default`.
          keep: the gate keeps at 1 (True) or at 0. Its bias then starts at minus `bias`.

        Raises:
          FieldError: a bias is given, and the gate has none.
        """
        if bias is not None and name not in self.biases and mode != "constant":
            raise fields.FieldError("keeping_bias", bias, f"left out: the {name} gate has no bias")
        start = default if bias is None else bias
        bias_init = start if callable(start) else constant(fields.real("keeping_bias", start))
        bias_init = bias_init if keep else negated(bias_init)
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


KEEPING = ("learned", "keep", "replace", "constant")


def state_dtype(param_dtype: Any) -> Any:
    """Gates and state are never below float32."""
    return jnp.promote_types(param_dtype, jnp.float32)


def parameter(
    init: Initializer, rngs: nnx.Rngs, shape: tuple[int, ...], param_dtype: Any
) -> nnx.Param:
    """A fresh parameter; drawn in float32 at least, since bfloat16 has no QR decomposition."""
    return nnx.Param(init(rngs.params(), shape, state_dtype(param_dtype)).astype(param_dtype))


def add_bias(value: Array, bias: nnx.Param | None) -> Array:
    """`value + bias`, or `value` where there is no bias."""
    return value if bias is None else value + bias[...].astype(value.dtype)


class Cell(nnx.RNNCellBase):
    """One step of one recurrence: its equation.

    A subclass defines `step`, which reads as the published equation, usually of gates:

        def step(self, h, x):
            f = jax.nn.sigmoid(self.forget(x, h))
            n = jnp.tanh(self.candidate(x, f * h))
            return (1 - f) * h + f * n, {"forget": f, "candidate": n}

    What of it is fast is found by `gru_jax.scan`, whatever the step computes. It takes any number
    of leading axes, changes no variable and draws no random numbers. A cell is a valid
    `nnx.RNNCellBase`: `nnx.RNN(cell)` and `nnx.Bidirectional` work.

    What everybody else reads of a cell, a subclass says once:

    TITLE: what tables and figures call it; the class's name without "Cell" by default.
    STATES: the names of its state arrays, the one that the layer above sees last.
    KEEPING_GATE: the name, among its activations, of the gate that decides what is kept. A cell
      whose gate has a bias takes the option `keeping_bias`, the start of that bias: a number or an
      initialiser, where a positive value keeps.

    Args:
      in_features: D, the size of one time step's input.
      hidden_features: H, the number of units.

    Raises:
      FieldError: an option is outside what is allowed.
    """

    TITLE: ClassVar[str] = ""
    STATES: ClassVar[tuple[str, ...]] = ("h",)
    KEEPING_GATE: ClassVar[str | None] = None

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if "TITLE" not in vars(cls):
            cls.TITLE = cls.__name__.removesuffix("Cell")

    @classmethod
    def options(cls) -> dict[str, Any]:
        """The cell's own options with their defaults, as its signature gives them."""
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
        self.in_features = fields.integer("in_features", in_features, 1)
        self.hidden_features = fields.integer("hidden_features", hidden_features, 1)
        param_dtype = options.get("param_dtype", jnp.float32)
        self.state_dtype = state_dtype(param_dtype)
        learned = fields.boolean("learn_initial_state", options.get("learn_initial_state", False))
        shape = (len(self.STATES), hidden_features)
        self.initial_state = (
            nnx.Param(zeros(rngs.params(), shape, param_dtype)) if learned else None
        )

    def step(self, carry: Carry, inputs: StepInput) -> tuple[Carry, Activations]:
        """The new carry, and every gate's value by name."""
        raise NotImplementedError

    def output(self, carry: Carry) -> State:
        """What the layer above sees: h."""
        return carry[-1] if len(self.STATES) > 1 else carry

    def kept(self, activations: Activations) -> State | None:
        """The share of the old state that each unit keeps; None where no gate decides that."""
        return None if self.KEEPING_GATE is None else activations[self.KEEPING_GATE]

    def torch_gates(self) -> tuple[list[AnyGate], nnx.Param | None] | None:
        """The gates in the order of PyTorch's layer that computes the same, if there is one.

        With them the bias of the last gate's recurrent half, where PyTorch has one of its own.
        """
        return None

    def __call__(self, carry: Carry, inputs: StepInput) -> tuple[Carry, State]:
        carry, _ = self.step(carry, inputs)
        return carry, self.output(carry)

    def initialize_carry(
        self,
        input_shape: tuple[int, ...],
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        carry_init: Initializer | None = None,
    ) -> Carry:
        """The state before the first step: learned, zeros, or drawn by `carry_init`.

        Args:
          input_shape: shape of one step's input, (*batch, features).
          rngs: only used, and needed, with `carry_init`.
          carry_init: draws the state in place of the cell's own start.
        """
        shape = (*input_shape[:-1], self.hidden_features)
        if carry_init is not None:
            if rngs is None:
                raise ValueError("carry_init needs rngs")
            stream = rngs.carry if isinstance(rngs, nnx.Rngs) else rngs
            states = [carry_init(stream(), shape, self.state_dtype) for _ in self.STATES]
        elif self.initial_state is not None:
            start = self.initial_state[...].astype(self.state_dtype)
            states = [jnp.broadcast_to(state, shape) for state in start]
        else:
            states = [jnp.zeros(shape, self.state_dtype) for _ in self.STATES]
        return tuple(states) if len(states) > 1 else states[0]

    @property
    def num_feature_axes(self) -> int:
        return 1


def _chosen_biases(bias: str | Sequence[str], available: Sequence[str]) -> frozenset[str]:
    """The names of the biases that exist: "all", "none", one name, or several."""
    if bias == "all":
        return frozenset(available)
    if bias == "none":
        return frozenset()
    if isinstance(bias, str):
        return frozenset([fields.one_of("bias", bias, ("all", "none", *available))])
    names = fields.sequence("bias", bias, "a name or a list of names")
    return frozenset(fields.one_of("bias", name, available) for name in names)
