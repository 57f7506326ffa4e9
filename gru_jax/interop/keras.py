"""Keras 3's `GRU`, `LSTM`, `SimpleRNN` and `Bidirectional`, without importing Keras.

Keras stores one kernel for all gates, (D, gates * H), one recurrent kernel and one bias, in the
order z, r, n (LSTM: i, f, g, o). The bias of a GRU with `reset_after=True` has two rows, that of
x W and that of h U.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gru_jax.cells.forms import EQUATIONS
from gru_jax.interop.layout import (
    Layout,
    Pair,
    counted,
    fill,
    known_to_numpy,
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

GATES = {
    "gru": ("update", "reset", "candidate"),
    "gru_reset_before": ("update", "reset", "candidate"),
    "lstm": ("input", "forget", "candidate", "output"),
    "vanilla": ("candidate",),
}
CELLS = {"GRUCell": "gru", "LSTMCell": "lstm", "SimpleRNNCell": "vanilla"}


def to_keras(module: Module) -> list[np.ndarray]:
    """The weights of the Keras layers that compute the same, for their `set_weights`.

    The layers must be made with the options that the cells have: `reset_after`, `activation` and
    `recurrent_activation`, and `use_bias=False` for cells without biases. Keras cannot tell from
    weights whether they are.

    Args:
      module: see `gru_jax.interop`.

    Returns:
      Kernel, recurrent kernel and bias of each cell, from the lowest layer to the top, and in each
      layer first forwards and then backwards, as `get_weights` of a model of recurrent layers
      gives them. bfloat16, which NumPy lacks, becomes float32.

    Raises:
      ValueError: Keras has no layer that computes the same as a cell.
    """
    arrays = pack(_pairs(layers_of(module)))
    return [known_to_numpy(array) for array in arrays.values()]


def from_keras(module: Module, source: Any) -> None:
    """Fills `module` with the weights of Keras layers, in place.

    Args:
      module: see `gru_jax.interop`; with the sizes of the Keras layers.
      source: a Keras layer, a cell, a `Bidirectional`, a model or a list of these, of which all
        recurrent layers are taken, in their order; or the arrays that `get_weights` of a
        recurrent layer gives. Arrays do not say which functions the layer applies, nor, without
        a bias, where a GRU resets. If there are no biases (`use_bias=False`), those of the module
        become zero.

    Raises:
      ValueError: Keras has no layer that computes the same as the cells; or the layers run
        backwards (`go_backwards`), merge their directions otherwise than side by side, or have
        other kinds, functions, numbers, names or shapes.
    """
    layers = layers_of(module)
    pairs = _pairs(layers)
    if isinstance(source, Sequence) and all(hasattr(array, "shape") for array in source):
        size = len(source) // len(pairs)
        if size not in (2, 3) or size * len(pairs) != len(source):
            raise ValueError(
                f"the weights of Keras are {counted(len(source), 'array')}: must be 2 or 3 for "
                f"each cell, of which the module has {len(pairs)}"
            )
        arrays = [source[size * index : size * (index + 1)] for index in range(len(pairs))]
    else:
        theirs = list(_layers(source))
        same_layers(layers, theirs, "the Keras model")
        cells = [cell for layer in theirs for cell in layer]
        for pair, cell in zip(pairs, cells, strict=True):
            _same_cell(pair, cell)
        arrays = [cell.get_weights() for cell in cells]
    named = {
        name: np.asarray(array)
        for pair, own in zip(pairs, arrays, strict=True)
        for name, array in zip(pair.layout.arrays, own, strict=False)  # there may be no bias
    }
    fill(pairs, named)


def _pairs(layers: Sequence[Sequence[Any]]) -> list[Pair]:
    pairs = []
    for cells, begins in zip(layers, places(layers), strict=True):
        for cell, begin in zip(cells, begins, strict=True):
            form = form_of(cell, "Keras", GATES)
            gates = GATES[form.equations]
            bias = "biases" if form.equations == "gru" else "bias"
            arrays = {
                f"{begin}kernel": ("kernel", gates),
                f"{begin}recurrent_kernel": ("recurrent_kernel", gates),
                f"{begin}bias": (bias, gates),
            }
            pairs.append(Pair(form, Layout("Keras", arrays)))
    return pairs


def _layers(source: Any) -> Iterable[tuple[Any, ...]]:
    """The Keras cells of each recurrent layer: one, or those of both directions.

    Raises:
      ValueError: a layer does not run as ours do.
    """
    if isinstance(source, Sequence):
        for part in source:
            yield from _layers(part)
    elif hasattr(source, "forward_layer"):
        if source.merge_mode != "concat":
            raise ValueError(f"merge_mode is {source.merge_mode!r}: must be 'concat'")
        there, back = source.forward_layer, source.backward_layer
        yield (*_cells(there, backwards=False), *_cells(back, backwards=True))
    elif hasattr(source, "cell"):
        yield from ((cell,) for cell in _cells(source, backwards=False))
    elif hasattr(source, "cells"):
        yield from ((cell,) for cell in source.cells)
    elif _kind(source):
        yield (source,)
    else:
        for layer in getattr(source, "layers", ()):
            yield from _layers(layer)


def _cells(layer: Any, *, backwards: bool) -> Sequence[Any]:
    """The cells of a layer of one direction, of which `RNN([...])` has several."""
    if layer.go_backwards != backwards:
        which = "the second direction" if backwards else "a layer of one direction, or the first"
        raise ValueError(f"go_backwards is {layer.go_backwards}: must be {backwards} for {which}")
    return getattr(layer.cell, "cells", [layer.cell])


def _kind(cell: Any) -> str | None:
    """The equations of a Keras cell."""
    names = [kind for base in type(cell).__mro__ if (kind := CELLS.get(base.__name__))]
    if names == ["gru"] and not cell.reset_after:
        return "gru_reset_before"
    return names[0] if names else None


def _same_cell(pair: Pair, cell: Any) -> None:
    """Checks that a Keras cell computes the same as ours and has weights."""
    mine, theirs = pair.form.equations, _kind(cell)
    if theirs != mine:
        title = EQUATIONS[theirs] if theirs else f"a {type(cell).__name__}"
        raise ValueError(f"the Keras layer is {title}: must be {EQUATIONS[mine]}, as the cell")
    if not cell.built:
        raise ValueError("the layer has no weights yet: it must be built, or called once, before")
    same_function("activation", pair.form.activation, cell.activation)
    if pair.form.gate_activation is not None:
        gates = cell.recurrent_activation
        same_function("recurrent_activation", pair.form.gate_activation, gates)
