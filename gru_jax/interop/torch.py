"""PyTorch's `nn.GRU`, `nn.LSTM` and `nn.RNN`, and their cells, without importing torch.

PyTorch concatenates the kernels of all gates to one matrix (gates * H, D), in the order r, z, n
(LSTM: i, f, g, o). Every gate has two biases, b_i beside x W and b_h beside h U. Only a GRU's
candidate needs both, since the reset gate multiplies the second. For all other gates, `from_torch`
adds them up, and `to_torch` sets the second one to zero.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gru_jax.cells import Cell
from gru_jax.cells.forms import Form
from gru_jax.interop.layout import (
    Arrays,
    Layout,
    Pair,
    fill,
    known_to_numpy,
    pack,
)
from gru_jax.interop.matching import (
    Module,
    form_of,
    function_name,
    layers_of,
    same_function,
    same_layers,
)
from gru_jax.model import SequenceModel

GATES = {
    "gru": ("reset", "update", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
    "vanilla": ("candidate",),
}


def to_torch(module: Module, *, prefix: str = "", cell: bool = False) -> Arrays:
    """The state dict of the `nn.GRU`, `nn.LSTM` or `nn.RNN` that computes the same.

    Args:
      module: see `gru_jax.interop`.
      prefix: what the names begin with, such as "encoder.rnn.".
      cell: the names are those of `nn.GRUCell`, `nn.LSTMCell` or `nn.RNNCell`.

    Returns:
      NumPy arrays under PyTorch's names, without biases (`bias=False`) if the cells have none;
      bfloat16, which NumPy lacks, becomes float32. To load them:
      `layer.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})`.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cell, or as all cells together.
    """
    arrays = pack(_pairs(layers_of(module), prefix, cell))
    return {name: known_to_numpy(array) for name, array in arrays.items()}


def from_torch(module: Module, source: Any, *, prefix: str | None = None) -> None:
    """Fills `module` with the weights of a PyTorch layer or cell, in place.

    Args:
      module: see `gru_jax.interop`; with the sizes of the PyTorch layer.
      source: the layer, or a PyTorch module that contains it; or the state dict of either, with
        tensors or other arrays under PyTorch's names. Only the layer says whether an `nn.RNN` is
        one of tanh or ReLU. If there are no biases (`bias=False`), those of the module become
        zero.
      prefix: where the layer is in a larger module, such as "encoder.rnn"; not needed if it is
        the only recurrent layer.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cells; the source has no such
        layer, or several; or its nonlinearity, layers, directions, names or shapes differ.
      TypeError: the source is neither a module nor a state dict.
    """
    if not isinstance(source, Mapping) and not hasattr(source, "state_dict"):
        raise TypeError(f"source is {source!r}: must be a module of PyTorch, or its state dict")
    state = source if isinstance(source, Mapping) else source.state_dict()
    prefix = _prefix(state, prefix)
    # A name with a further dot is one of a module within, as in a subclass of `nn.GRU`.
    own = [name for name in state if name.startswith(prefix) and "." not in name[len(prefix) :]]
    layers = layers_of(module)
    same_layers(layers, _layers(own, prefix), "the PyTorch layer")
    pairs = _pairs(layers, prefix, cell=f"{prefix}weight_ih" in own)
    layer = source
    for name in () if isinstance(source, Mapping) else prefix.split(".")[:-1]:
        layer = getattr(layer, name)
    nonlinearity = getattr(layer, "nonlinearity", None)
    if nonlinearity is not None and pairs[0].form.equations == "vanilla":
        functions = {"tanh": jnp.tanh, "relu": jax.nn.relu}
        same_function("nonlinearity", pairs[0].form.activation, functions[nonlinearity])
    fill(pairs, {name: _array(state[name]) for name in own})


def torch_start(module: Module, *, rngs: nnx.Rngs) -> None:
    """Draws the parameters anew as PyTorch starts those of the layer that computes the same.

    All weights and biases are uniform in -1/sqrt(H)..1/sqrt(H) with H units, also those of a
    `SequenceModel`'s readout, whose inputs they are (then H is their number). Where PyTorch has two
    biases and we have one, it starts as the sum of two draws.

    Args:
      module: see `gru_jax.interop`.
      rngs: the source of the parameters.

    Raises:
      ValueError: PyTorch has no layer that computes the same.
    """
    forms = [pair.form for pair in _pairs(layers_of(module), "", cell=False)]
    for form in forms:
        bound = 1 / math.sqrt(form.sizes[1])
        for name, gate in form.gates.items():
            parameters = [gate.kernel, gate.recurrent_kernel, gate.bias]
            both = form.equations != "gru" or name != "candidate"  # whose biases are two here too
            for parameter, draws in zip(parameters, (1, 1, 1 + both), strict=True):
                _draw(parameter, bound, rngs, draws)
        _draw(form.recurrent_bias, bound, rngs)
    if isinstance(module, SequenceModel):
        bound = 1 / math.sqrt(module.readout.in_features)
        _draw(module.readout.kernel, bound, rngs)
        _draw(module.readout.bias, bound, rngs)


def _draw(parameter: nnx.Param | None, bound: float, rngs: nnx.Rngs, draws: int = 1) -> None:
    """Sets it to the sum of so many uniform draws, where there is one."""
    if parameter is not None:
        shape = (draws, *parameter.shape)
        drawn = jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound)
        parameter[...] = drawn.sum(axis=0).astype(parameter.dtype)


def _pairs(layers: Sequence[Sequence[Cell]], prefix: str, cell: bool) -> list[Pair]:
    """Of each layer and direction.

    Raises:
      ValueError: PyTorch has no layer in which these cells are together.
    """
    ways = {len(layer) for layer in layers}
    if cell and (len(layers) > 1 or ways != {1}):
        raise ValueError("cell is True: must be False for several layers or both directions")
    suffixes = [("",)] if cell else [(f"_l{i}", f"_l{i}_reverse") for i in range(len(layers))]
    pairs = [
        Pair(form := _form(one), _layout(form, prefix, suffix))
        for layer, names in zip(layers, suffixes, strict=True)
        for one, suffix in zip(layer, names, strict=False)
    ]
    kinds = {
        (pair.form.equations, pair.form.activation, pair.form.gates["candidate"].kernel.shape[1])
        for pair in pairs
    }
    if len(kinds) > 1 or len(ways) > 1:
        raise ValueError(
            "PyTorch has no layer that computes this model: all of its cells must be of one kind, "
            "activation and width, and all of its layers of as many directions"
        )
    return pairs


def _form(cell: Any) -> Form:
    form = form_of(cell, "PyTorch", GATES)
    usual = [jnp.tanh, jax.nn.relu] if form.equations == "vanilla" else [jnp.tanh]
    if form.activation not in usual or form.gate_activation not in (None, jax.nn.sigmoid):
        gates = form.gate_activation or form.activation
        raise ValueError(
            f"PyTorch has no layer that computes this {type(cell).__name__}: its activation is "
            f"{function_name(form.activation)}, and that of its gates {function_name(gates)}"
        )
    return form


def _layout(form: Form, prefix: str, suffix: str) -> Layout:
    gates = GATES[form.equations]
    parts = {
        "weight_ih": "kernel",
        "weight_hh": "recurrent_kernel",
        "bias_ih": "bias",
        "bias_hh": "second_bias",
    }
    arrays = {f"{prefix}{name}{suffix}": (part, gates) for name, part in parts.items()}
    return Layout("PyTorch", arrays, transposed=True)


def _prefix(names: Iterable[str], wanted: str | None) -> str:
    """Where the recurrent layer is among these names.

    Raises:
      ValueError: there is none, or several are there and none of them is `wanted`.
    """
    found = [match[1] for name in names if (match := re.fullmatch(r"(|.*\.)weight_ih(_l0)?", name))]
    if wanted is not None:
        wanted = wanted if wanted.endswith(".") or not wanted else wanted + "."
        if wanted in found:
            return wanted
    elif len(found) == 1:
        return found[0]
    allowed = " or ".join(repr(prefix) for prefix in found)
    if not found:
        raise ValueError("the state dict has no recurrent layer: no name ends in weight_ih_l0")
    raise ValueError(f"prefix is {wanted!r}: must be {allowed}, where recurrent layers are")


def _layers(names: Iterable[str], prefix: str) -> list[list[str]]:
    """The suffixes of each layer's directions, in PyTorch's names."""
    found: dict[str, list[str]] = {}
    for name in names:
        if match := re.fullmatch(r"weight_ih(_l\d+|)(_reverse)?", name.removeprefix(prefix)):
            found.setdefault(match[1], []).append(match[2] or "")
    return list(found.values())


def _array(value: Any) -> np.ndarray:
    """A tensor wherever it is, with a gradient or not, or an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":
            value = value.float()
    return np.asarray(value)
