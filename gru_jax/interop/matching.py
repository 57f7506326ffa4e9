"""Which cells a module has, and whether those of another library compute the same."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gru_jax.cells import Cell
from gru_jax.cells.base import ACTIVATIONS, GATE_ACTIVATIONS, Form
from gru_jax.cells.forms import EQUATIONS
from gru_jax.interop.layout import counted
from gru_jax.layers import Layer
from gru_jax.model import SequenceModel
from gru_jax.recurrence import RNN

Module = Cell | RNN | Layer | SequenceModel | Sequence[Cell | RNN | Layer]

# Where functions are compared.
POINTS = np.linspace(-8, 8, 33, dtype=np.float32)


def layers_of(module: Module) -> list[tuple[Cell, ...]]:
    """The cells of each layer: one, or those of both directions.

    Raises:
      ValueError: its states are held by zoneout, which other libraries do not know; or it is an
        `RNN` that runs backwards.
    """
    if isinstance(module, SequenceModel):
        return layers_of(list(module.layers))
    if isinstance(module, Sequence):
        return [layer for part in module for layer in layers_of(part)]
    if isinstance(module, Layer):
        # A layer runs them forwards and backwards, whatever they would do by themselves.
        ways = [module.forward] if module.backward is None else [module.forward, module.backward]
        return [tuple(map(_cell, ways))]
    if isinstance(module, RNN) and module.reverse:
        told = "a layer of one direction is converted to one that runs forwards"
        raise ValueError(f"reverse = True: must be False, since {told}")
    return [(_cell(module),)]


def _cell(module: Cell | RNN) -> Cell:
    if not isinstance(module, RNN):
        return module
    if any(rates := module.regularizer.zoneout):
        # Without draws, a state is the expectation of what zoneout makes of it.
        raise ValueError(f"zoneout = {rates}: must be (), since no other library has it")
    return module.cell


def places(layers: Sequence[Sequence[Cell]]) -> list[list[str]]:
    """What the names of each cell's arrays begin with, so that all of a module's differ."""
    if [len(layer) for layer in layers] == [1]:
        return [[""]]
    return [
        [f"layer {index} {way}" for way, _ in zip(("", "backward "), layer, strict=False)]
        for index, layer in enumerate(layers)
    ]


def form_of(cell: Cell, library: str, equations: Iterable[str]) -> Form:
    """The cell as one of these equations of a library, with every gate learned.

    Raises:
      ValueError: it is none of them, its initial state is learned, or it is several cells in one.
    """
    form = cell.form() if isinstance(cell, Cell) else None
    if form is None:
        reason = 'it is no standard GRU, LSTM or vanilla RNN; a GRU needs update_gate="keep"'
    elif form.equations not in equations:
        reason = f"it is {EQUATIONS[form.equations]}"
    elif form.unusual:
        reason = f"its {form.unusual[0]} gate is not a learned function of input and state alone"
    elif cell.initial_state is not None:
        reason = "its initial state is learned"
    elif len(form.sizes) > 2:
        reason = f"its kernels have shape {form.sizes}, which must be that of one, not several"
    else:
        return form
    raise ValueError(f"{library} has no layer that computes this {type(cell).__name__}: {reason}")


def same_layers(mine: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]], what: str) -> None:
    """Checks that both have as many layers and directions.

    Raises:
      ValueError: they have not.
    """
    if [len(layer) for layer in mine] != [len(layer) for layer in theirs]:
        raise ValueError(f"{what} has {_extent(theirs)}: must have {_extent(mine)}, as the module")


def same_function(which: str, mine: Callable[..., Any], theirs: Callable[..., Any]) -> None:
    """Checks that two activation functions are equal, by their values.

    Args:
      which: what the library calls it.

    Raises:
      ValueError: they are not.
    """
    if mine is theirs or np.allclose(mine(jnp.asarray(POINTS)), theirs(POINTS), atol=1e-6):
        return
    raise ValueError(
        f"the layer's {which} is {function_name(theirs)}: must be {function_name(mine)}, "
        "that of the cell"
    )


def function_name(function: Callable[..., Any]) -> str:
    """What our options call a function; of others, its own name."""
    for name, known in (ACTIVATIONS | GATE_ACTIVATIONS).items():
        if function is known:
            return name
    return getattr(function, "__name__", repr(function))


def _extent(layers: Sequence[Sequence[Any]]) -> str:
    ways = {len(layer) for layer in layers}
    in_each = {1: " in one direction", 2: " in both directions"}
    return counted(len(layers), "layer") + (in_each[ways.pop()] if len(ways) == 1 else "")
