"""Solves linear recurrences unit by unit: one step after the other, in chunks, or by halves."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gru_jax import arguments, fields
from gru_jax.axes import Array
from gru_jax.placement import on_gpu

Vector = list[Array]  # one array (time, ...) for each state
Times = Callable[[Array, Array], Array]
Matrix = list[Vector]  # how much of each state (column) goes into each state (row)
NARROW = 256  # the size of a state up to which chunks are faster than a scan: docs/performance.md


def quickest(carry: Any) -> str:
    """The quickest way to run a linear cell with this carry: "scan", or one of `FORMS`."""
    if arguments.is_open(carry):
        return "scan"
    if on_gpu():
        return "associative"
    largest = max(leaf.size for leaf in jax.tree.leaves(carry))
    return "chunked" if largest <= NARROW else "scan"


def solve(
    a: Matrix,
    b: Vector,
    reverse: bool = False,
    cuts: bool = False,
    *,
    form: str = "chunked",
    chunk: int = 0,
) -> Vector:
    """The states of a linear recurrence, from a state of 0.

        c_t = A_t c_{t-1} + b_t,  t = 1..T;  or c_t = A_t c_{t+1} + b_t if reversed

    Each A_t is a small matrix, of as many rows as there are states, for each unit. The derivative
    is that of the solution of a linear system, which is a recurrence in the other direction of
    time: it needs no more memory than A and the states themselves.

    Args:
      a, b: arrays (time, ...), all of one shape; those of `a` that do not depend on time may have
        1 in its place.
      reverse: from the last step to the first.
      cuts: whether a 0 in A cuts off what was before, also where that is not finite.
      form: "associative": by `lax.associative_scan`, in some 2 log2(T) operations on many steps
        each. "chunked": the sequence is cut into chunks, which are scanned side by side, each from
        a state of 0; then the states go from chunk to chunk, and the chunks are scanned again.
      chunk: the number of steps in a chunk; 0 for about sqrt(T).

    Raises:
      FieldError: `form` or `chunk` has a value that is not allowed.

    >>> solve([[jnp.full(4, 0.5)]], [jnp.ones(4)])[0].tolist()
    [1.0, 1.5, 1.75, 1.875]
    """
    fields.one_of("form", form, FORMS)
    fields.integer("chunk", chunk, 0)
    find = functools.partial(FORMS[form], chunk=chunk, times=cutting if cuts else jnp.multiply)

    def residual(c: Vector) -> Vector:
        start = [jnp.zeros_like(each[0]) for each in c]
        return _minus(c, _apply(a, list(map(functools.partial(before, reverse=reverse), c, start))))

    def transposed(_: object, g: Vector) -> Vector:
        columns = [list(column) for column in zip(*a, strict=True)]
        return find(columns, g, reverse=not reverse, late=True)

    forwards = lambda _, b: find(a, b, reverse=reverse, late=False)
    return lax.custom_linear_solve(residual, b, forwards, transposed)


def before(after: Array, start: Array, reverse: bool = False) -> Array:
    """The states before all steps, given those after them and the one before the first."""
    parts = [after[1:], start[None]] if reverse else [start[None], after[:-1]]
    return jnp.concatenate(parts)


def _associative(
    a: Matrix, b: Vector, *, reverse: bool, late: bool, chunk: int, times: Times
) -> Vector:
    """`late`: A is that of the step before."""
    del chunk
    if late:  # the first of them meets a state of 0
        a = jax.tree.map(lambda each: jnp.roll(each, -1 if reverse else 1, axis=0), a)
    a = jax.tree.map(lambda each: jnp.broadcast_to(each, b[0].shape), a)

    def then(first: tuple[Matrix, Vector], second: tuple[Matrix, Vector]) -> tuple[Matrix, Vector]:
        c = _plus(_apply(second[0], first[1], times), second[1])
        return _product(second[0], first[0], times), c

    return lax.associative_scan(then, (a, b), reverse=reverse)[1]


def _chunked(
    a: Matrix, b: Vector, *, reverse: bool, late: bool, chunk: int, times: Times
) -> Vector:
    """`late`: A is that of the step before."""
    time, *rest = b[0].shape
    size = min(chunk, time) if chunk else _even(time)
    count = -(-time // size)

    def cut(values: Array) -> Array:
        """(time, ...) to (count, size, ...); what is added at the end is 0, and leaves 0."""
        if len(values) == 1 < time:
            return values[None]
        values = jnp.pad(values, [(0, count * size - time), *[(0, 0)] * len(rest)])
        return values.reshape(count, size, *rest)

    a, b = jax.tree.map(cut, (a, b))
    place = lambda step: size - 1 - step if reverse else step  # of a step in its chunk

    def of_step(step: int | Array) -> tuple[Matrix, Vector]:
        """A and b of a step of all chunks."""
        at = lambda step, each: each[:, 0 if each.shape[1] == 1 else place(step)]
        now = jax.tree.map(functools.partial(at, step), b)
        if not late:
            return jax.tree.map(functools.partial(at, step), a), now
        if not isinstance(step, int):
            return jax.tree.map(functools.partial(at, step - 1), a), now
        last = jax.tree.map(functools.partial(at, size - 1), a)  # of the chunk before
        return jax.tree.map(lambda each: jnp.roll(each, -1 if reverse else 1, axis=0), last), now

    def within(step: Array, state: tuple[Matrix, Vector]) -> tuple[Matrix, Vector]:
        a, b = of_step(step)
        return _product(a, state[0], times), _plus(_apply(a, state[1], times), b)

    def across(c: Vector, whole: tuple[Matrix, Vector]) -> tuple[Vector, Vector]:
        through, added = whole
        return _plus(_apply(through, c, times), added), c

    def again(step: int | Array, state: tuple[Vector, Vector]) -> tuple[Vector, Vector]:
        a, b = of_step(step)
        c = _plus(_apply(a, state[0], times), b)
        put = lambda found, one: lax.dynamic_update_index_in_dim(found, one, place(step), 1)
        return c, jax.tree.map(put, state[1], c)

    first = of_step(0)
    spread = lambda each: jnp.broadcast_to(each, (count, *rest))
    whole = lax.fori_loop(1, size, within, (jax.tree.map(spread, first[0]), first[1]))
    start = [jnp.zeros(rest, each.dtype) for each in b]
    _, starts = lax.scan(across, start, whole, reverse=reverse)
    states = again(0, (starts, jax.tree.map(jnp.zeros_like, b)))
    _, c = lax.fori_loop(1, size, again, states)
    return [each.reshape(count * size, *rest)[:time] for each in c]


def _even(time: int) -> int:
    """About sqrt(time), and a divisor of it if there is one near."""
    root = math.isqrt(time)
    return next((n for n in range(root, root // 2, -1) if time % n == 0), root)


FORMS: dict[str, Callable[..., Vector]] = {"associative": _associative, "chunked": _chunked}


def _plus(a: Vector, b: Vector) -> Vector:
    return [x + y for x, y in zip(a, b, strict=True)]


def _minus(a: Vector, b: Vector) -> Vector:
    return [x - y for x, y in zip(a, b, strict=True)]


def cutting(coefficient: Array, value: Array) -> Array:
    """Their product, which is 0 where the coefficient is, whatever the value is."""
    return jnp.where(coefficient == 0, 0, coefficient * value)


def _apply(a: Matrix, c: Vector, times: Times = jnp.multiply) -> Vector:
    return [functools.reduce(jnp.add, map(times, row, c)) for row in a]


def _product(a: Matrix, b: Matrix, times: Times) -> Matrix:
    columns = [_apply(a, list(column), times) for column in zip(*b, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]
