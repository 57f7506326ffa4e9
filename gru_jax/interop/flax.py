"""Flax's own `GRUCell`, `LSTMCell`, `OptimizedLSTMCell` and `SimpleCell`, of nnx and of linen.

The order of the gates is r, z, n (LSTM: i, f, g, o). An LSTM's bias stands beside h U, the others'
beside x W. A `linen.GRUCell` has c_n, an `nnx.GRUCell` has not. Linen stores each gate alone, and
so does `nnx.LSTMCell`; the other cells of nnx store all gates in one matrix.

Flax's `linen.MGUCell` is not taken: it is another cell than the paper's.
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from gru_jax.cells.forms import Form
from gru_jax.interop.layout import (
    Arrays,
    Layout,
    Pair,
    Place,
    fill,
    pack,
)
from gru_jax.interop.matching import (
    Module,
    form_of,
    layers_of,
    places,
    same_function,
    same_layers,
)
from gru_jax.model import SequenceModel

GATES = {
    "gru": {"reset": "r", "update": "z", "candidate": "n"},
    "lstm": {"input": "i", "forget": "f", "candidate": "g", "output": "o"},
    "vanilla": {"candidate": ""},
}
DIRECTIONS = ("forward_rnn", "backward_rnn")
NNX_CELLS: dict[type[nnx.Module], str] = {
    nnx.GRUCell: "gru",
    nnx.LSTMCell: "lstm",
    nnx.OptimizedLSTMCell: "lstm",
    nnx.SimpleCell: "vanilla",
}


def to_nnx(module: Module, target: Any) -> None:
    """Fills cells of `flax.nnx` with the weights of `module`, in place.

    Args:
      module: see `gru_jax.interop`. Its cells must have the biases that those of Flax have: for an
        `nnx.GRUCell`, ("reset", "update", "candidate").
      target: a cell of `flax.nnx`, an `nnx.RNN`, an `nnx.Bidirectional`, or a list of these from
        the lowest layer to the top; with the sizes of `module`.

    Raises:
      ValueError: Flax has no cell that computes the same; or the kinds, functions, numbers of
        layers or directions, or shapes differ.
    """
    pairs, parameters = _nnx(module, target)
    arrays = pack(pairs)
    for name, array in arrays.items():
        if parameters[name].shape != array.shape:
            raise ValueError(
                f"{name} has shape {parameters[name].shape}: must be {array.shape}, as the module"
            )
    for name, array in arrays.items():
        parameters[name][...] = jnp.asarray(array, parameters[name].dtype)


def from_nnx(module: Module, source: Any) -> None:
    """Fills `module` with the weights of cells of `flax.nnx`, in place.

    Args:
      module: see `gru_jax.interop`. Biases that the cells of Flax lack become zero.
      source: as `target` of `to_nnx`.

    Raises:
      ValueError: see `to_nnx`.
    """
    pairs, parameters = _nnx(module, source)
    fill(pairs, {name: np.asarray(parameter[...]) for name, parameter in parameters.items()})


def to_linen(module: Module) -> Any:
    """The parameters of the cells of `flax.linen` that compute the same.

    Args:
      module: see `gru_jax.interop`.

    Returns:
      Of one layer, the parameters of a `linen.GRUCell`, of a `linen.LSTMCell` (and
      `linen.OptimizedLSTMCell`, which has the same) or of a `linen.SimpleCell`; if it runs in both
      directions, those of a `linen.Bidirectional` of two `linen.RNN`. Of a model or a list, a
      list of these.

    Raises:
      ValueError: Flax has no cell that computes the same.
    """
    layers = layers_of(module)
    pairs = iter(_linen_pairs(layers))
    found: list[Any] = []
    for begins in places(layers):
        cells = [_nested(next(pairs).arrays(), begin) for begin in begins]
        both = {way: {"cell": cell} for way, cell in zip(DIRECTIONS, cells, strict=False)}
        found.append(both if len(cells) > 1 else cells[0])
    return found if isinstance(module, SequenceModel | Sequence) else found[0]


def from_linen(module: Module, source: Any) -> None:
    """Fills `module` with the parameters of cells of `flax.linen`, in place.

    Args:
      module: see `gru_jax.interop`.
      source: what `to_linen` gives: the parameters of a layer, or a list of them from the lowest
        layer to the top. Each may be what is alone in further dicts, such as
        {"params": {"cell": ...}}. Parameters do not say which functions a cell applies, nor
        whether a `linen.SimpleCell` is residual.

    Raises:
      ValueError: Flax has no cell that computes the same; or numbers of layers or directions,
        names or shapes differ.
      TypeError: the source is neither a dict nor a list of them.
    """
    layers = layers_of(module)
    theirs = [_linen_cells(one) for one in (source if isinstance(source, Sequence) else [source])]
    same_layers(layers, theirs, "the source")
    arrays: Arrays = {}
    for begins, cells in zip(places(layers), theirs, strict=True):
        for begin, cell in zip(begins, cells, strict=True):
            arrays |= _flat(cell, begin)
    fill(_linen_pairs(layers), arrays)


def _nnx(module: Module, others: Any) -> tuple[list[Pair], dict[str, nnx.Param]]:
    """Our cells, and the parameters of Flax's cells by the names of the layouts.

    Raises:
      ValueError: they do not compute the same.
    """
    layers, theirs = layers_of(module), list(_nnx_layers(others))
    same_layers(layers, theirs, "the list of Flax's cells")
    pairs, parameters = [], {}
    for where, mine, other in zip(places(layers), layers, theirs, strict=True):
        for begin, cell, flax_cell in zip(where, mine, other, strict=True):
            form = form_of(cell, "flax.nnx", GATES)
            _same_cell(form, flax_cell)
            arrays = _nnx_arrays(form, flax_cell)
            for name in arrays:
                parameters[begin + name] = operator.attrgetter(name)(flax_cell)
            placed = {begin + name: place for name, place in arrays.items()}
            pairs.append(Pair(form, Layout("flax.nnx", placed, bias_is_optional=False)))
    return pairs, parameters


def _nnx_layers(source: Any) -> Iterator[list[nnx.Module]]:
    """The cells of each layer: one, or those of both directions.

    Raises:
      ValueError: a layer runs backwards.
    """
    if isinstance(source, Sequence | nnx.List):
        for part in source:
            yield from _nnx_layers(part)
    elif isinstance(source, nnx.Bidirectional):
        ends = jnp.zeros((1, 2)), jnp.ones((1, 2))
        if not np.array_equal(source.merge_fn(*ends), jnp.concatenate(ends, -1)):
            raise ValueError("the nnx.Bidirectional has another merge_fn: must be the default")
        yield [cell for way in DIRECTIONS for (cell,) in _nnx_layers(getattr(source, way))]
    elif isinstance(source, nnx.RNN):
        if source.reverse:
            raise ValueError("the nnx.RNN has reverse=True: must be False")
        yield [source.cell]
    else:
        yield [source]


def _same_cell(form: Form, cell: Any) -> None:
    """Checks that a cell of `flax.nnx` computes the same as ours."""
    kind = next((kind for known, kind in NNX_CELLS.items() if isinstance(cell, known)), None)
    if kind != form.equations:
        allowed = " or ".join(
            f"nnx.{k.__name__}" for k, kind in NNX_CELLS.items() if kind == form.equations
        )
        raise ValueError(f"the cell of Flax is {type(cell).__name__}: must be {allowed}")
    if getattr(cell, "residual", False):
        raise ValueError("the nnx.SimpleCell has residual=True: must be False")
    same_function("activation_fn", form.activation, cell.activation_fn)
    if form.gate_activation is not None:
        same_function("gate_fn", form.gate_activation, cell.gate_fn)


def _nnx_arrays(form: Form, cell: Any) -> dict[str, Place]:
    if isinstance(cell, nnx.LSTMCell):
        return {
            name.replace("if/", "if_/").replace("/", "."): place
            for name, place in _separate(form).items()
        }
    gates = tuple(GATES[form.equations])
    return {
        "dense_i.kernel": ("kernel", gates),
        "dense_h.kernel": ("recurrent_kernel", gates),
        "dense_h.bias" if form.equations == "lstm" else "dense_i.bias": ("bias", gates),
    }


def _separate(form: Form) -> dict[str, Place]:
    """Where linen, and nnx for one of its cells, stores every gate alone."""
    arrays: dict[str, Place] = {}
    for gate, letter in GATES[form.equations].items():
        arrays[f"i{letter}/kernel"] = ("kernel", (gate,))
        arrays[f"h{letter}/kernel"] = ("recurrent_kernel", (gate,))
        arrays[f"{'h' if form.equations == 'lstm' else 'i'}{letter}/bias"] = ("bias", (gate,))
    if form.equations == "gru":
        arrays["hn/bias"] = ("second_bias", ("candidate",))
    return arrays


def _linen_pairs(layers: Sequence[Sequence[Any]]) -> list[Pair]:
    pairs = []
    for where, layer in zip(places(layers), layers, strict=True):
        for begin, cell in zip(where, layer, strict=True):
            form = form_of(cell, "flax.linen", GATES)
            arrays = {begin + name: place for name, place in _separate(form).items()}
            pairs.append(Pair(form, Layout("flax.linen", arrays, bias_is_optional=False)))
    return pairs


def _linen_cells(source: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parameters of a layer's cells: of one, or those of both directions."""
    if not isinstance(source, Mapping):
        raise TypeError(f"source is {source!r}: must be a dict of parameters, or a list of them")
    if set(source) == set(DIRECTIONS):
        return [cell for way in DIRECTIONS for cell in _linen_cells(source[way])]
    inner = next(iter(source.values()), None)
    if len(source) == 1 and isinstance(inner, Mapping):
        return _linen_cells(inner)
    return [source]


def _nested(arrays: Arrays, begin: str) -> dict[str, Any]:
    """The parameters of a cell in linen's dicts."""
    found: dict[str, Any] = {}
    for name, array in arrays.items():
        dense, part = name.removeprefix(begin).split("/")
        found.setdefault(dense, {})[part] = array
    return found


def _flat(parameters: Mapping[str, Any], begin: str) -> Arrays:
    found: Arrays = {}
    for name, value in parameters.items():
        inner = isinstance(value, Mapping)
        found |= _flat(value, f"{begin}{name}/") if inner else {begin + name: np.asarray(value)}
    return found
