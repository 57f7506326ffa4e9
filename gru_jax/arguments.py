"""Checks of what recurrences are called with: inputs, lengths, resets, carries and shapes.

Shapes and kinds are checked while a call is traced, and cost nothing afterwards. Values are checked
where they are known, which they are not under `jit`. Whatever is not an array yet, such as a list
or NumPy numbers, becomes one.
"""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from gru_jax import fields
from gru_jax.axes import Array, Carry, Inputs, Lengths, Resets, Sequence


def inputs(value: Any, features: int | None, axes: int = 1, time: bool = True) -> Sequence:
    """The numbers that a cell is given.

    Args:
      features: how many it takes at a step; None for any number.
      axes: how many axes of features there are.
      time: whether there is an axis of steps.

    Raises:
      ValueError: they are not real numbers, or their shape does not fit the cell.
    """
    array = _array("inputs", value)
    _check_kind("inputs", array, "real numbers", jnp.floating, jnp.integer, jnp.bool_)
    if array.ndim < axes + time or features not in (None, array.shape[-1]):
        needs = f"{'a time axis and ' * time}{features or 'some'} features"
        raise ValueError(f"inputs have shape {array.shape}: the cell needs {needs}")
    return array


def tokens(value: Any, kinds: int, stepwise: bool) -> Inputs:
    """The inputs of an encoder: whole numbers (*batch, time) in 0..kinds - 1.

    Args:
      kinds: the number of kinds of tokens.
      stepwise: an initial carry is given, as by a caller who feeds a single step. Otherwise a last
        axis of size 1 behind two others is taken for features, which tokens do not have.

    Raises:
      ValueError: they are something else.
    """
    array = _array("inputs", value)
    _check_kind("inputs", array, "tokens, which are whole numbers", jnp.integer)
    if array.ndim == 0 or (array.ndim > 2 and array.shape[-1] == 1 and not stepwise):
        raise ValueError(f"inputs have shape {array.shape}: tokens must be (*batch, time)")
    _check_range("inputs", value, kinds - 1, "the kinds of tokens")
    return array


def lengths(value: Any, batch: tuple[int, ...], time: int, of: Array) -> Lengths | None:
    """The number of steps of each sequence, (*batch,), in 0..time.

    Args:
      of: the inputs, for error messages.

    Raises:
      ValueError: they are not whole numbers, have another shape, or are out of range. Under `jit`,
        where values are not known, those out of range count as 0 or `time`.
    """
    if value is None:
        return None
    array = _array("seq_lengths", value)
    _check_kind("seq_lengths", array, "whole numbers", jnp.integer)
    _check_shape("seq_lengths", array, batch, of)
    _check_range("seq_lengths", value, time, "the steps")
    return array if _known(value) else jnp.clip(array, 0, min(time, jnp.iinfo(array.dtype).max))


def resets(value: Any, shape: tuple[int, ...], of: Array) -> Resets | None:
    """Before which steps the carry is set back, (*batch, time).

    Args:
      of: the inputs, for error messages.

    Raises:
      ValueError: they are not booleans, or have another shape.
    """
    if value is None:
        return None
    array = _array("resets", value)
    _check_kind("resets", array, "booleans", jnp.bool_)
    _check_shape("resets", array, shape, of)
    return array


def examples(value: Any, batch: tuple[int, ...]) -> Array:
    """The numbers of the examples, (*batch,), by which a regularised model draws their masks.

    Raises:
      ValueError: they are not whole numbers, or have another shape.
    """
    array = _array("examples", value)
    _check_kind("examples", array, "whole numbers", jnp.integer)
    if array.shape != batch:
        raise ValueError(f"examples have shape {array.shape}: must be {batch}, one an example")
    return array


def carry(value: Any, start: Carry) -> Carry:
    """The carry to start from, in the precision of `start`, which is the default.

    Raises:
      ValueError: its structure or a shape is not that of `start`, or it has other than real
        numbers.
    """
    if value is None:
        return start
    shapes, expected = (jax.tree.map(np.shape, tree) for tree in (value, start))
    structures = (jax.tree.structure(tree) for tree in (value, start))
    if shapes != expected or len(set(structures)) > 1:
        raise ValueError(
            f"initial_carry has shapes {shapes}: must have {expected}, as initialize_carry gives it"
        )
    arrays = jax.tree.map(lambda leaf: _array("initial_carry", leaf), value)
    for array in jax.tree.leaves(arrays):
        _check_kind("initial_carry", array, "real numbers", jnp.floating, jnp.integer, jnp.bool_)
    return jax.tree.map(lambda array, like: array.astype(like.dtype), arrays, start)


def return_carry(value: Any) -> Any:
    """Returns the value.

    Raises:
      FieldError: it is none of True, False, "all" and None.
    """
    if not (value is None or isinstance(value, bool) or value == "all"):
        raise fields.FieldError("return_carry", value, 'True, False or "all"')
    return value


def shape(field: str, value: Any, allowed: str) -> tuple[int, ...]:
    """Returns the value as a tuple of sizes, which `jax.export` may leave open.

    Raises:
      TypeError: it is something else, such as a number or the source of random numbers.
      FieldError: a size is negative.
    """
    try:
        sizes: tuple[Any, ...] = tuple(
            size if export.is_symbolic_dim(size) else operator.index(size) for size in value
        )
    except TypeError:
        kind = type(value).__name__
        raise TypeError(f"{field} is of type {kind}: must be {allowed}") from None
    if any(size < 0 for size in sizes if not export.is_symbolic_dim(size)):
        raise fields.FieldError(field, sizes, allowed)
    return sizes


def is_open(tree: Any) -> bool:
    """Whether `jax.export` leaves a size of any of these arrays open.

    Then no choice can depend on the sizes.
    """
    return any(
        export.is_symbolic_dim(size) for leaf in jax.tree.leaves(tree) for size in jnp.shape(leaf)
    )


def _array(name: str, value: Any) -> Array:
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError, OverflowError):
        kind = type(value).__name__
        raise ValueError(f"{name} are a {kind} that makes no array: must be an array") from None


def _check_kind(name: str, array: Array, allowed: str, *kinds: Any) -> None:
    if not any(jnp.issubdtype(array.dtype, kind) for kind in kinds):
        raise ValueError(f"{name} are of kind {array.dtype}: must be {allowed}")


def _check_shape(name: str, array: Array, expected: tuple[int, ...], of: Array) -> None:
    if array.shape != expected:
        raise ValueError(
            f"{name} have shape {array.shape} for inputs of shape {of.shape}: must be {expected}"
        )


def _check_range(name: str, value: Any, most: int, meaning: str) -> None:
    if not _known(value):
        return
    numbers = np.asarray(jax.device_get(value))  # before a conversion can change large ones
    outside = numbers[(numbers < 0) | (numbers > most)]
    if outside.size:
        raise ValueError(f"{name} contain {outside[0]}: must be in 0..{most}, {meaning}")


def _known(value: Any) -> bool:
    """Whether the values can be read here and now."""
    leaves = jax.tree.leaves(value)
    readable = lambda leaf: getattr(leaf, "is_fully_addressable", True)
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in leaves) and all(
        map(readable, leaves)
    )
