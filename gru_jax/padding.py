"""Sequences whose last steps may be padding."""

from typing import Any

import jax
import jax.numpy as jnp

from gru_jax.axes import Array, Lengths


def select(condition: Array, if_true: Any, if_false: Any) -> Any:
    """Chooses, for each example, between two pytrees of arrays (*batch, ...).

    Args:
      condition: booleans, (*batch).
    """
    choose = lambda a, b: jnp.where(_beside(condition, a), a, b)
    return jax.tree.map(choose, if_true, if_false)


def _beside(values: Array, array: Array) -> Array:
    """Appends axes of size 1 to `values`, so that it broadcasts against `array`."""
    return values.reshape(*values.shape, *[1] * (array.ndim - values.ndim))


def last_output(outputs: Array, lengths: Lengths | None, reverse: bool) -> Array:
    """The last of the time-major outputs that each example computes; zero if it has no steps."""
    if not outputs.shape[0]:
        return jnp.zeros(outputs.shape[1:], outputs.dtype)
    if reverse or lengths is None:
        return outputs[0 if reverse else -1]
    source = (jnp.maximum(lengths, 1) - 1)[None]  # lengths may be unsigned
    return jnp.take_along_axis(outputs, _beside(source, outputs), axis=0)[0]


def flipped(sequence: Array, lengths: Lengths | None) -> Array:
    """Reverses a time-major sequence in time; padded steps stay behind each example's steps."""
    if lengths is None:
        return jnp.flip(sequence, axis=0)
    time = jnp.arange(sequence.shape[0]).reshape(-1, *[1] * lengths.ndim)
    lengths = lengths[None]
    source = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(sequence, _beside(source, sequence), axis=0)
