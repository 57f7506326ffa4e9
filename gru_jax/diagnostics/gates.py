"""Time scales of memory: those that the gates suggest, and those that units have."""

from typing import cast

import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import HiddenSequence, Inputs, PerUnit, UnitsByLag
from gru_jax.cells.base import Cell
from gru_jax.diagnostics.dynamics import check_one_direction
from gru_jax.diagnostics.gradients import Model
from gru_jax.diagnostics.spectrum import half_life
from gru_jax.masking import zoneout_rates
from gru_jax.model import SequenceModel
from gru_jax.recurrence import RNN


def gates(model: Model, inputs: Inputs) -> tuple[dict[str, HiddenSequence], ...]:
    """The values of all gates of each layer, by name, (time, hidden).

    Args:
      model: a `SequenceModel` of `Cell`s, or a `Cell`.
      inputs: one example, (time, features) or (time,) tokens.

    Raises:
      FieldError: the model is bidirectional, or a cell that is not a `Cell`, and does not return
        its gates.

    >>> from flax import nnx
    >>> from gru_jax import GRUCell
    >>> (found,) = gates(GRUCell(2, 4, rngs=nnx.Rngs(0)), jnp.ones((7, 2)))
    >>> {name: values.shape for name, values in found.items()}
    {'reset': (7, 4), 'update': (7, 4)}
    """
    return tuple(gates_of(layer.cell, found) for layer, found in _recorded(model, inputs))


def gates_of(cell: Cell, activations: dict[str, HiddenSequence]) -> dict[str, HiddenSequence]:
    """Those of a cell's activations that are gates: neither a candidate nor one of its states."""
    others = {"candidate", *cell.CANDIDATES, *cell.STATES}
    return {name: values for name, values in activations.items() if name not in others}


def kept(model: Model, inputs: Inputs) -> tuple[HiddenSequence, ...]:
    """The share of the old state that each unit keeps at each step, (time, hidden), by layer.

    For a GRU it is z (1 - z for "write"), for an LSTM the forget gate.

    Args:
      model, inputs: see `gates`.

    Raises:
      FieldError: a cell has no gate that decides what is kept; or see `gates`.
    """
    return tuple(_kept(layer, activations) for layer, activations in _recorded(model, inputs))


def kept_of(layer: RNN, activations: dict[str, HiddenSequence]) -> HiddenSequence | None:
    """The share of the old state that is kept, from a layer's activations; None without a gate.

    Without draws, zoneout of rate p makes p + (1 - p) * share of it.
    """
    share = layer.cell.kept(activations)
    if share is None or not layer.regularizer.zoneout:
        return share
    held = zoneout_rates(layer.cell, layer.regularizer)[layer.cell.STATES[0]]
    return held + (1 - held) * share


def _recorded(model: Model, inputs: Inputs) -> list[tuple[RNN, dict[str, HiddenSequence]]]:
    """Each layer, and its activations at all steps."""
    if isinstance(model, SequenceModel):
        check_one_direction(model)
        layers = [layer.forward for layer in model.layers]
        return list(zip(layers, model.recur(inputs)[2], strict=True))
    if not isinstance(model, Cell):
        raise fields.FieldError(
            "model", type(model).__name__, "a Cell: others do not return their gates"
        )
    layer = RNN(model)
    _, activations = layer(inputs, return_activations=True)
    return [(layer, cast(dict[str, HiddenSequence], activations))]


def _kept(layer: RNN, activations: dict[str, HiddenSequence]) -> HiddenSequence:
    found = kept_of(layer, activations)
    if found is None:
        raise fields.FieldError(
            "cell", type(layer.cell).__name__, "one with a gate that decides what is kept"
        )
    return found


def gate_half_life(kept: HiddenSequence) -> PerUnit:
    """The number of steps in which the gates alone would halve each unit's state.

        ln 2 / (- mean_t ln |kept_t|)

    It is a mean of logarithms because the share that remains is the product of the gates.

    Args:
      kept: the share that is kept at each step, (time, hidden), see `kept`.

    Returns:
      (hidden,), in steps; infinite for a unit that keeps everything.

    >>> gate_half_life(jnp.array([[0.5, 1.0], [0.5, 1.0]])).tolist()
    [1.0, inf]
    """
    return half_life(jnp.mean(jnp.log(jnp.abs(kept)), axis=0))


def own_half_life(log_own: UnitsByLag) -> PerUnit:
    """The lag n at which |dh_T,i/dh_{T-n},i| first falls below one half, for each unit i.

    Between two lags, the logarithm is interpolated linearly.

    Args:
      log_own: the logarithms for n = 1..T, (lags, hidden): `log_own` of `jacobians`.

    Returns:
      (hidden,), in steps; T for a unit that has not fallen below one half, whose half-life is
      censored, and NaN for one of which a logarithm is.

    >>> own_half_life(jnp.log(jnp.array([[0.7, 0.9], [0.35, 0.8]]))).tolist()
    [1.485..., 2.0]
    """
    logs = jnp.concatenate([jnp.zeros_like(log_own[:1]), log_own])
    below = logs < -jnp.log(2.0)
    first = jnp.argmax(below, axis=0)
    at = lambda lag: jnp.take_along_axis(logs, lag[None], axis=0)[0]
    before, after = at(first - 1), at(first)
    # A fall to minus infinity cannot be interpolated: the later lag is taken.
    fraction = jnp.where(
        after > -jnp.inf, (before + jnp.log(2.0)) / (before - after), jnp.ones_like(after)
    )
    found = jnp.where(jnp.any(below, axis=0), first - 1 + fraction, log_own.shape[0])
    return jnp.where(jnp.any(jnp.isnan(log_own), axis=0), jnp.nan, found)
