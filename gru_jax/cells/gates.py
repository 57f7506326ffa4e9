"""What cells are built of: gates, activation functions and parameters."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer, constant, lecun_normal, orthogonal, zeros

from gru_jax import fields
from gru_jax.axes import Array, State, StepInput
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
    """Looks up `value` in `named`; a function is returned as it is.

    Raises:
      FieldError: `value` is neither a function nor a name in `named`.
    """
    if callable(value):
        return value
    return named[fields.one_of(field, value, named)]


class CellOptions(TypedDict, total=False):
    """The options that all cells have in common.

    kernel_init: initialiser of the input kernels W (D, H), applied to each gate's kernel
      separately; LeCun normal by default.
    recurrent_init: the same for the recurrent kernels U (H, H); orthogonal by default.
    learn_initial_state: the state before the first step is a parameter, which starts at
      zero; otherwise that state is zero.
    dtype: precision of the operands of matrix products; `param_dtype` by default. Sums,
      gates and states are float32 at least: bfloat16 has no numbers between 0.996 and 1,
      which an update gate needs for memories longer than 256 steps.
    param_dtype: precision in which parameters are stored; float32 by default.
    """

    kernel_init: Initializer
    recurrent_init: Initializer
    learn_initial_state: bool
    dtype: Any
    param_dtype: Any


class Gate(nnx.Module):
    """activation(x W + h U + b); without an activation, x W + h U + b.

    x has shape (*batch, D), h and the gate have shape (*batch, H).

    Args:
      in_features, hidden_features: D and H.
      activation: applied to the sum; None for the sum itself.
      recurrent: "full"; "diagonal", where each unit hears itself alone, and h * u takes the place
        of h U; or "none", where the gate hears x only.
      inputs: whether the gate hears x; if not, the sum is h U + b.
      peephole: whether the gate also hears c, the memory of an LSTM, each unit its own: c * p is
        added to the sum. p starts at 0.
      bias_init: initialiser of b; None for a gate without bias.
      rngs: the source of the parameters.
      options: see `CellOptions`.

    Raises:
      TypeError: an option is none of `CellOptions`.

    In a regularised pass a cell has copies of its gates, which multiply x and h by masks before
    anything else, see `masking`.

    >>> gate = Gate(2, 3, activation=jax.nn.sigmoid, rngs=nnx.Rngs(0))
    >>> gate(jnp.ones((5, 2)), jnp.zeros((5, 3))).shape
    (5, 3)
    """

    input_mask: nnx.Variable[Array] | None = None
    state_mask: nnx.Variable[Array] | None = None

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        activation: Activation | None = None,
        recurrent: str = "full",
        inputs: bool = True,
        peephole: bool = False,
        bias_init: Initializer | None = zeros,
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        own = ("activation", "recurrent", "inputs", "peephole", "bias_init")
        fields.known_options(Gate, options, (*own, *CellOptions.__annotations__))
        param_dtype = options.get("param_dtype", jnp.float32)
        self.dtype = options.get("dtype") or param_dtype
        self.state_dtype = state_dtype(param_dtype)
        self.activation = activation
        kernel_init = options.get("kernel_init", lecun_normal())
        recurrent_init = options.get("recurrent_init", orthogonal())
        shape = {
            "full": (hidden_features, hidden_features),
            "diagonal": (hidden_features,),
            "none": None,
        }[fields.one_of("recurrent", recurrent, ("full", "diagonal", "none"))]
        # None for what the gate does not hear; most gates hear both.
        self.kernel: Any = (
            parameter(kernel_init, rngs, (in_features, hidden_features), param_dtype)
            if inputs
            else None
        )
        self.recurrent_kernel: Any = (
            parameter(recurrent_init, rngs, shape, param_dtype) if shape else None
        )
        self.bias = (
            parameter(bias_init, rngs, (hidden_features,), param_dtype) if bias_init else None
        )
        self.peephole = (
            parameter(zeros, rngs, (hidden_features,), param_dtype) if peephole else None
        )

    def __call__(self, inputs: StepInput, state: State, memory: State | None = None) -> State:
        if self.kernel is None:
            total = add_bias(self.recur(state), self.bias)
        elif self.recurrent_kernel is None:
            total = self.project(inputs)
        else:
            total = self.project(inputs) + self.recur(state)
        if self.peephole is not None:
            assert memory is not None, "a gate with a peephole is called with c as well"
            total = total + memory * spread(self.peephole, memory)
        return total if self.activation is None else self.activation(total)

    def project(self, inputs: StepInput) -> State:
        """The input's part of the sum: x W + b."""
        return add_bias(self.along(inputs), self.bias)

    def along(self, inputs: StepInput) -> State:
        """x W, for a step that adds b later."""
        return self.product(_masked(inputs, self.input_mask), self.kernel[...])

    def recur(self, state: State) -> State:
        """The state's part of the sum: h U, or h * u."""
        state, recurrent = self.hears(state), self.recurrent_kernel[...]
        if recurrent.ndim == 1:
            return state * spread(recurrent, state)
        return self.product(state, recurrent)

    def hears(self, state: State) -> State:
        """The state as this gate hears it, for a step that does not pass it to `recur`."""
        return _masked(state, self.state_mask)

    def product(self, left: Array, kernel: Array) -> Array:
        """left @ kernel with operands of `dtype`, summed in `state_dtype`."""
        return jnp.matmul(
            left.astype(self.dtype),
            kernel.astype(self.dtype),
            preferred_element_type=self.state_dtype,
        )


class ConstantGate(nnx.Module):
    """activation(b): a gate with one learned value for each unit, whatever x and h are."""

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

    def __call__(self, inputs: StepInput, state: State, memory: State | None = None) -> State:
        del inputs, memory
        return jnp.broadcast_to(self.activation(self.bias[...].astype(state.dtype)), state.shape)


class RefinedGate(nnx.Module):
    """A gate f that a second gate r refines: r pushes it up (r > 1/2) or down (r < 1/2).

        g = 2 r f + (1 - 2 r) f^2,  which goes from f^2 (r = 0) to 1 - (1 - f)^2 (r = 1)

    So g reaches values near 0 and 1 where neither f nor r is saturated (Gu et al. 2020, "Improving
    the gating mechanism of recurrent neural networks"). Where 1 - f takes the place of f, and
    1 - r that of r, 1 - g takes the place of g.

    Args:
      gate: f.
      refine: r; if the gates have biases, that of r starts at minus that of f.
    """

    def __init__(self, gate: Gate, refine: Gate):
        self.gate, self.refine = gate, refine
        if refine.bias is not None:
            mirror(gate, refine)

    @property
    def bias(self) -> nnx.Param | None:
        return self.gate.bias

    def __call__(self, inputs: StepInput, state: State, memory: State | None = None) -> State:
        f, r = self.gate(inputs, state, memory), self.refine(inputs, state)
        return 2 * r * f + (1 - 2 * r) * f**2


@dataclasses.dataclass(frozen=True)
class PinnedGate:
    """A gate that has the same value for all units and at all steps, and no parameters."""

    value: float

    def __call__(self, inputs: StepInput, state: State, memory: State | None = None) -> State:
        del inputs, memory
        return jnp.full_like(state, self.value)


AnyGate = Gate | ConstantGate | RefinedGate | PinnedGate


def keeping_start(
    bias: float | Initializer | None, default: float | Initializer = 0.0, keep: bool = True
) -> Initializer:
    """The initialiser of a keeping gate's bias.

    Args:
      bias: the cell's option `keeping_bias`: a number, or an initialiser; None for `default`.
      keep: whether the cell keeps the old state where this gate is 1 (True) or 0 (False). In the
        latter case the bias starts at minus `bias`.

    Raises:
      FieldError: `bias` is neither a finite number nor a function.
    """
    start = default if bias is None else bias
    init = start if callable(start) else constant(fields.real("keeping_bias", start))
    return init if keep else negated(init)


def mirror(forget: AnyGate, input: AnyGate) -> None:
    """Sets b_i = -b_f: a unit that forgets slowly also takes in little at each step."""
    assert not isinstance(forget, PinnedGate)
    assert isinstance(input, Gate)
    assert forget.bias is not None
    assert input.bias is not None
    input.bias[...] = -forget.bias[...]


def state_dtype(param_dtype: Any) -> Any:
    """The precision of gates and states: that of the parameters, and float32 at least."""
    return jnp.promote_types(param_dtype, jnp.float32)


def parameter(
    init: Initializer, rngs: nnx.Rngs, shape: tuple[int, ...], param_dtype: Any
) -> nnx.Param:
    """A new parameter of this shape and precision."""
    # Drawn in float32 at least: orthogonal initialisers need a QR decomposition, which does not
    # exist for bfloat16.
    return nnx.Param(init(rngs.params(), shape, state_dtype(param_dtype)).astype(param_dtype))


def add_bias(value: Array, bias: nnx.Param | None) -> Array:
    """`value + bias`, or `value` if there is no bias."""
    return value if bias is None else value + spread(bias, value)


def _masked(value: Array, mask: nnx.Variable[Array] | None) -> Array:
    return value if mask is None else value * mask[...]


def spread(values: nnx.Param | Array, like: Array) -> Array:
    """One value a unit, (H,), in the precision and with the rank of a state."""
    # JAX can be told to refuse operands of different rank.
    return jnp.expand_dims(values[...].astype(like.dtype), range(like.ndim - 1))
