"""`jax.lax.scan`, with the gradient that this folder derives."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from gru_jax import fields
from gru_jax.axes import Array
from gru_jax.bptt.derivative import Body, Derivative, derivative
from gru_jax.bptt.jaxprs import Arrays, blank, differentiable, type_of, with_constants
from gru_jax.bptt.lists import chosen, divided, replaced

GRADIENTS = ("auto", "plain", "batched", "recomputed")
ROWS = 256  # of a segment's products: more gain little, and
ROWS_A_UNIT = 2  # fewer are enough for few units
SEGMENTS = 4  # of a sequence, at least
CACHED = 10_000  # numbers, at least, in each array of a segment


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
    *,
    gradient: str = "auto",
    segment: int = 0,
) -> tuple[Any, Any]:
    """`jax.lax.scan` with a faster gradient that needs less memory.

        carry, y_t = step(carry, x_t),  t = 1..T

    A drop-in for anybody's recurrent function. Whatever the step computes, values are those of
    `lax.scan`, and so are gradients, to rounding: what can be computed for many steps at once is
    found in the step's equations, and the rest is left as it is. It works under `jit`, `grad`,
    `vmap`, `shard_map` and `jax.checkpoint`, and its gradient can be differentiated again.

    Args:
      step, init, xs, length, reverse, unroll: as for `lax.scan`; `unroll` is of "plain" only.
      gradient: "plain", that of `lax.scan`; "batched", the faster one; "recomputed", the same
        from the carries between segments only, which needs the least memory; "auto", "batched"
        unless there is nothing to gain: no carry, a single step, or a step with side effects.
      segment: steps that are taken together; 0: chosen by the sizes.

    Raises:
      FieldError: an option is outside what is allowed.
      TypeError: forward-mode differentiation (`jax.jvp`, `jax.jacfwd`) of anything but "plain".

    >>> import jax, jax.numpy as jnp
    >>> def step(h, x):
    ...     h = jnp.tanh(h @ weight + x)
    ...     return h, h
    >>> weight = jnp.eye(3) / 2
    >>> jax.grad(lambda xs: scan(step, jnp.zeros(3), xs)[0].sum())(jnp.zeros((4, 3)))[:, 0].tolist()
    [0.125, 0.25, 0.5, 1.0]
    """
    fields.one_of("gradient", gradient, GRADIENTS)
    fields.integer("segment", segment, 0)
    plain = functools.partial(lax.scan, step, length=length, reverse=reverse, unroll=unroll)
    if gradient == "plain":
        return plain(init, xs)
    # lax.scan's own errors, and the types that it gives the carry.
    types, _ = jax.eval_shape(plain, init, xs)
    init = jax.tree.map(_converted, init, types)
    carry, leaves = jax.tree.leaves(init), jax.tree.leaves(xs)
    time = int(leaves[0].shape[0] if leaves else length or 0)
    if time < 2 or not carry:
        return plain(init, xs)
    body, constants, structure = _traced(step, types, xs)
    if body.jaxpr.effects:
        return plain(init, xs)
    loop = Loop(body, time, 1, reverse, gradient == "recomputed")
    found = _segmented(loop, constants, carry, leaves, segment or segment_length(time, carry))
    return jax.tree.unflatten(structure, found)


def segment_length(time: int, carry: Sequence[Any]) -> int:
    """How many steps to take together, of a carry whose largest array is (*batch, units).

    The products over a segment need some rows to be efficient, its arrays fit a cache, and
    beside those of the whole sequence they are few: see docs/log.md.
    """
    largest = max(carry, key=lambda array: array.size)
    units = max(1, largest.shape[-1] if largest.shape else 1)
    rows = max(1, largest.size // units)
    most = -(-time // SEGMENTS)
    enough = max(min(ROWS, ROWS_A_UNIT * units), CACHED // units)
    length = max(1, min(most, enough // rows))
    # One that divides the sequence spares a second program for the rest.
    return next((n for n in range(length, length // 2, -1) if time % n == 0), length)


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A scan over `count` segments of `size` steps each.

    recompute: for the gradient, keep the carry before each segment only, and take its steps
      again; otherwise what the gradient needs of each step is kept.
    """

    body: Body
    count: int
    size: int
    reverse: bool
    recompute: bool

    def segments(self, tree: Any) -> Any:
        """Arrays with time first, as (segments, steps of one, ...)."""
        return jax.tree.map(lambda a: a.reshape(self.count, self.size, *a.shape[1:]), tree)

    def steps(self, tree: Any) -> Any:
        """The same arrays with time first again."""
        return jax.tree.map(lambda a: a.reshape(self.count * self.size, *a.shape[2:]), tree)

    def run(self, step: Any, carry: Any, xs: Any, length: int, back: bool = False) -> Any:
        """A loop in this one's direction, or against it."""
        return lax.scan(step, carry, xs, length=length, reverse=self.reverse ^ back)


def _converted(value: Any, type: Any) -> Any:
    return value if jnp.asarray(value).dtype == type.dtype else jnp.asarray(value, type.dtype)


def _traced(step: Any, carry: Any, xs: Any) -> tuple[Body, Arrays, Any]:
    """The body of a scan, what it closes over, and the structure of what it returns."""
    first = jax.eval_shape(lambda xs: jax.tree.map(lambda a: a[0], xs), xs)
    traced, shapes = jax.make_jaxpr(step, return_shape=True)(carry, first)
    body = Body(with_constants(traced), len(traced.consts), len(jax.tree.leaves(carry)))
    return body, list(traced.consts), jax.tree.structure(shapes)


def _segmented(loop: Loop, constants: Arrays, carry: Arrays, inputs: Arrays, size: int) -> Arrays:
    """The outputs of a scan, in segments; the steps that fill no segment are taken first."""
    time = loop.count
    count, rest = divmod(time, min(size, time))
    whole = dataclasses.replace(loop, count=count, size=min(size, time))
    if not rest:
        carry, outputs = _reverse_only(whole, constants, carry, inputs)
        return [*carry, *outputs]
    cut = time - rest if loop.reverse else rest
    parts = [[a[:cut] for a in inputs], [a[cut:] for a in inputs]]
    halves: list[Arrays] = [[], []]
    first = 1 if loop.reverse else 0
    for place, part in ((first, dataclasses.replace(loop, count=1, size=rest)), (1 - first, whole)):
        carry, halves[place] = _reverse_only(part, constants, carry, parts[place])
    return [*carry, *(jnp.concatenate(pair) for pair in zip(*halves, strict=True))]


def _reverse_only(
    loop: Loop, constants: Arrays, carry: Arrays, inputs: Arrays
) -> tuple[Arrays, Arrays]:
    """`_scan`, with an error that names the way out."""
    try:
        return _scan(loop, constants, carry, inputs)
    except TypeError as error:
        if "forward-mode" not in str(error):
            raise
        advice = 'forward-mode differentiation needs gradient="plain": the others go backwards only'
        raise TypeError(advice) from None


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(loop: Loop, constants: Arrays, carry: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    step = lambda carry, inputs: divided(loop.body(constants, carry, inputs), len(carry))
    return loop.run(step, carry, inputs, loop.count * loop.size)


def _segment(
    loop: Loop, parts: Derivative, border: Arrays, fixed: Arrays, carry: Arrays, inputs: Arrays
) -> tuple[Arrays, tuple[Arrays, Arrays]]:
    """The carry after a segment; of each of its steps the outputs, and what is kept beside."""

    def step(carry, now):
        after, outputs, kept = parts.forward(fixed, carry, *now)
        return after, (outputs, kept)

    return loop.run(step, carry, (parts.ahead(border, inputs), inputs), loop.size)


def _forward(loop: Loop, *arguments: Any) -> Any:
    wanted = jax.tree.map(lambda argument: argument.perturbed, arguments)
    constants, carry, inputs = jax.tree.map(lambda argument: argument.value, arguments)
    parts = derivative(loop.body, tuple(wanted[0]), tuple(wanted[2]))
    border = parts.fix(constants)
    fixed = parts.prepare(border)

    def segment(carry, inputs):
        after, (outputs, kept) = _segment(loop, parts, border, fixed, carry, inputs)
        found = (carry, [], []) if loop.recompute else parts.stored(carry, outputs, kept)
        return after, (outputs, found)

    after, (outputs, found) = loop.run(segment, carry, loop.segments(inputs), loop.count)
    return (after, loop.steps(outputs)), (parts, constants, inputs, found)


def _backward(loop: Loop, residuals: Any, cotangents: Any) -> Any:
    parts, constants, inputs, found = residuals
    carried, given = ([differentiable(d) for d in some] for some in cotangents)
    d_carry = [_instantiated(d) for d in chosen(cotangents[0], carried)]
    # Outputs that nobody reads have no gradient, which would be as large as they.
    d_outputs = [None if _is_zero(d) else loop.segments(d) for d in chosen(cotangents[1], given)]
    border = parts.fix(constants)
    fixed = parts.prepare(border)

    def back_one_step(d_carry, now):
        kept, inputs, d_outputs = now
        types = parts.cotangents[len(d_carry) :]
        d_outputs = [blank(t) if d is None else d for d, t in zip(d_outputs, types, strict=True)]
        return parts.back(fixed, kept, inputs, [*d_carry, *d_outputs])

    def back(state, now):
        d_carry, d_border = state
        inputs, found, d_outputs = now
        if loop.recompute:
            _, each = _segment(loop, parts, border, fixed, found[0], inputs)
            found = parts.stored(found[0], *each)
        kept = parts.kept(*found, loop.reverse)
        xs = kept, inputs, d_outputs
        d_carry, emitted = loop.run(back_one_step, d_carry, xs, loop.size, back=True)
        d_here, d_inputs = parts.late(loop.size, border, fixed, inputs, kept, emitted)
        return (d_carry, jax.tree.map(jnp.add, d_border, d_here)), d_inputs

    zeros = [blank(type_of(v)) for v in chosen(parts.border, parts.learned)]
    now = loop.segments(inputs), found, d_outputs
    (d_carry, d_border), d_inputs = loop.run(back, (d_carry, zeros), now, loop.count, back=True)
    spread = lambda flags, some: replaced([None] * len(flags), flags, some)
    return (
        spread(parts.wanted_constants, parts.of_constants(constants, d_border)),
        spread(carried, d_carry),
        spread(parts.wanted_inputs, loop.steps(d_inputs)),
    )


_scan.defvjp(_forward, _backward, symbolic_zeros=True)


def _is_zero(cotangent: Any) -> bool:
    """Whether nobody has read what this is the gradient of."""
    return isinstance(cotangent, SymbolicZero)


def _instantiated(cotangent: Any) -> Array:
    return blank(type_of(cotangent)) if _is_zero(cotangent) else cotangent
