"""What gates say of a unit's memory, and what the unit really keeps."""

from typing import cast

import jax.numpy as jnp
from jaxtyping import Float

from gru_jax import fields
from gru_jax.axes import Array, Inputs, PerUnit, Sequence
from gru_jax.cells.base import Cell
from gru_jax.diagnostics.gradients import Model
from gru_jax.diagnostics.spectrum import half_life
from gru_jax.model import SequenceModel
from gru_jax.recurrence import RNN


def gates(model: Model, inputs: Inputs) -> tuple[dict[str, Float[Array, "time hidden"]], ...]:
    """For each layer every gate at each step, by name; a cell without gates has none.

    Args:
      model: a `SequenceModel` or one of our cells: others do not show their gates.
      inputs: one example, (time, features) or (time,) tokens.

    >>> from flax import nnx
    >>> from gru_jax import GRUCell
    >>> (found,) = gates(GRUCell(2, 4, rngs=nnx.Rngs(0)), jnp.ones((7, 2)))
    >>> {name: values.shape for name, values in found.items()}
    {'reset': (7, 4), 'update': (7, 4)}
    """
    return tuple(
        {name: values for name, values in activations.items() if name != "candidate"}
        for _, activations in _recorded(model, inputs)
    )


def kept(model: Model, inputs: Inputs) -> tuple[Float[Array, "time hidden"], ...]:
    """For each layer the share of the old state that each unit keeps at each step.

    A GRU's z (1 - z for "write"), an LSTM's forget gate. The arguments are those of `gates`.

    Raises:
      FieldError: a cell has no gate that keeps.
    """
    return tuple(_kept(cell, activations) for cell, activations in _recorded(model, inputs))


def _recorded(model: Model, inputs: Inputs) -> list[tuple[Cell, dict[str, Sequence]]]:
    """Each layer's cell, and its activations at each step."""
    if isinstance(model, SequenceModel):
        cells = [layer.forward.cell for layer in model.layers]
        return list(zip(cells, model.recur(inputs)[2], strict=True))
    if not isinstance(model, Cell):
        raise fields.FieldError("model", type(model).__name__, "a cell that shows its gates")
    _, activations = RNN(model)(inputs, return_activations=True)
    return [(model, cast(dict[str, Sequence], activations))]


def _kept(cell: Cell, activations: dict[str, Sequence]) -> Sequence:
    found = cell.kept(activations)
    if found is None:
        raise fields.FieldError("cell", type(cell).__name__, "one with a gate that keeps the state")
    return found


def gate_half_life(kept: Float[Array, "time hidden"]) -> PerUnit:
    """Steps in which gates alone halve a unit's state: ln 2 / (- mean_t ln kept_t).

    The mean is of the logarithms, since what remains is the product of the gates.

    >>> gate_half_life(jnp.array([[0.5, 1.0], [0.5, 1.0]])).tolist()
    [1.0, inf]
    """
    return half_life(jnp.mean(jnp.log(kept), axis=0))


def own_half_life(log_own: Float[Array, "lags hidden"]) -> PerUnit:
    """The lag at which |dh_T,i/dh_{T-n},i| first falls below one half, between two steps.

    Args:
      log_own: for n = 1..T, see `jacobians`.

    Returns:
      T where it has not fallen so far: there it is censored.

    >>> own_half_life(jnp.log(jnp.array([[0.7, 0.9], [0.35, 0.8]]))).tolist()
    [1.485..., 2.0]
    """
    logs = jnp.concatenate([jnp.zeros_like(log_own[:1]), log_own])
    below = logs < -jnp.log(2.0)
    first = jnp.argmax(below, axis=0)
    at = lambda lag: jnp.take_along_axis(logs, lag[None], axis=0)[0]
    before, after = at(first - 1), at(first)
    # A fall to minus infinity is taken to end at the step itself.
    fraction = jnp.where(
        after > -jnp.inf, (before + jnp.log(2.0)) / (before - after), jnp.ones_like(after)
    )
    return jnp.where(jnp.any(below, axis=0), first - 1 + fraction, log_own.shape[0])
