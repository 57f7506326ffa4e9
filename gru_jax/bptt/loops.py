"""`scan`, a `jax.lax.scan` with a faster gradient, and the loops that compute it."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from gru_jax import arguments, fields
from gru_jax.axes import Array
from gru_jax.bptt.derivative import Derivative, derivative
from gru_jax.bptt.jaxprs import Arrays, blank, differentiable, type_of, with_constants
from gru_jax.bptt.joining import joined
from gru_jax.bptt.lists import chosen, divided, replaced
from gru_jax.bptt.reverse_only import reverse_only
from gru_jax.bptt.step import Body
from gru_jax.placement import is_explicit, on_gpu

GRADIENTS = ("auto", "plain", "batched", "recomputed")
# What the length of a segment depends on: see `segment_length` and docs/log.md. The products of a
# segment have a row for each step and example.
ROWS = 256  # the number of rows beyond which a product is hardly more efficient
ROWS_A_UNIT = 2  # the same, as a multiple of the number of units
CACHED = 10_000  # the size of an array that always fits a core's cache
SEGMENTS = 4  # the least number of segments in a sequence
WHOLE = 2**18  # the size of all carries up to which a run without a gradient has no segments
LAUNCHED = 4  # steps in an iteration on a GPU: see docs/performance.md


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

    It can replace `lax.scan` in any recurrent function. Whatever the step computes, values are
    those of `lax.scan`, and gradients are equal up to rounding: `scan` finds in the equations of
    the step what can be computed for many steps at once, and leaves the rest as it is. It works
    under `jit`, `grad`, `vmap`, `shard_map` and `jax.checkpoint`, and its gradient can be
    differentiated again.

    Args:
      step, init, xs, length, reverse, unroll: as for `lax.scan`; only "plain" uses `unroll`, the
        number of steps in an iteration of the loop.
      gradient: how the gradient is computed. "plain": as by `lax.scan`. "batched": in segments of
        many steps, which is faster on a CPU. "recomputed": likewise, but keeps only the carries
        between segments and takes the steps of each segment again, which needs the least memory.
        "auto": "batched"; on a GPU, "plain" with an `unroll` of at least 4. All are "plain" if
        there is no carry, only one step, a side effect, a size that `jax.export` leaves open, or an
        array divided over devices by an axis that is `AxisType.Explicit`. Where no gradient is
        wanted, all but "plain" compute the products of the inputs ahead of the loop.
      segment: the number of steps in a segment; 0 to choose it by the sizes of the arrays.

    Returns:
      The last carry, and the outputs of all steps stacked along a leading axis.

    Raises:
      FieldError: `gradient` or `segment` has a value that is not allowed.
      TypeError: the scan is differentiated in forward mode (`jax.jvp`, `jax.jacfwd`), and
        `gradient` is not "plain".

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
    if gradient == "auto" and on_gpu():
        gradient, unroll = "plain", max(unroll, LAUNCHED)
    plain = functools.partial(lax.scan, step, length=length, reverse=reverse, unroll=unroll)
    if gradient == "plain" or arguments.is_open((init, xs)):
        return plain(init, xs)
    # Raises the errors of lax.scan, and finds the types to which it promotes the carry.
    types, _ = jax.eval_shape(plain, init, xs)
    init = jax.tree.map(_converted, init, types)
    carry, leaves = jax.tree.leaves(init), jax.tree.leaves(xs)
    time = int(leaves[0].shape[0] if leaves else length or 0)
    if time < 2 or not carry or is_explicit((carry, leaves)):
        return plain(init, xs)
    body, constants, structure = _traced(step, types, xs)
    if body.jaxpr.effects:
        return plain(init, xs)
    body = dataclasses.replace(body, jaxpr=joined(body.jaxpr, body.constants))
    loop = Loop(body, time, 1, reverse, gradient == "recomputed")
    constants, carry, leaves = jax.tree.map(reverse_only, (constants, carry, leaves))
    found = _segmented(loop, constants, carry, leaves, segment or segment_length(time, carry))
    return jax.tree.unflatten(structure, found)


def segment_length(time: int, carry: Sequence[Any]) -> int:
    """The number of steps in a segment, where the largest array of the carry is (*batch, units).

    A segment is long enough for its products to be efficient, and short enough for its arrays to
    fit a core's cache and to be small compared with those of the whole sequence: see docs/log.md.
    """
    largest = max(carry, key=lambda array: array.size)
    units = max(1, largest.shape[-1] if largest.shape else 1)
    rows = max(1, largest.size // units)
    most = -(-time // SEGMENTS)
    enough = max(min(ROWS, ROWS_A_UNIT * units), CACHED // units)
    length = max(1, min(most, enough // rows))
    # A length that divides the sequence avoids compiling a second loop for the remaining steps.
    return next((n for n in range(length, length // 2, -1) if time % n == 0), length)


@dataclasses.dataclass(frozen=True, eq=False)
class Loop:
    """A scan over `count` segments of `size` steps each.

    body: one step.
    reverse: start with the last step.
    recompute: keep only the carry before each segment, and take its steps again for the
      gradient; otherwise keep the values of each step that the gradient needs.
    """

    body: Body
    count: int
    size: int
    reverse: bool
    recompute: bool

    def ahead(self, size: int) -> "Loop":
        """This loop where no gradient is wanted, which reads the products of the inputs alone.

        A short sequence is one segment. Of a single step, XLA would compute the products in the
        loop, see `jaxprs.Program.divided`.

        Args:
          size: that of the largest array of the carry.
        """
        time = self.count * self.size
        steps = time if time * size <= WHOLE else self.size
        if steps == 1:
            steps = next((n for n in range(2, 8) if time % n == 0), 1)
        return dataclasses.replace(self, count=time // steps, size=steps)

    def segments(self, tree: Any) -> Any:
        """Reshapes arrays (time, ...) to (count, size, ...)."""
        return jax.tree.map(lambda a: a.reshape(self.count, self.size, *a.shape[1:]), tree)

    def steps(self, tree: Any) -> Any:
        """Reshapes arrays (count, size, ...) to (time, ...)."""
        return jax.tree.map(lambda a: a.reshape(self.count * self.size, *a.shape[2:]), tree)

    def run(self, step: Any, carry: Any, xs: Any, length: int, back: bool = False) -> Any:
        """`lax.scan` in the direction of this loop, or against it if `back`."""
        return lax.scan(step, carry, xs, length=length, reverse=self.reverse ^ back)


def _converted(value: Any, type: Any) -> Any:
    array = jnp.asarray(value)  # a number of Python's as well
    return array if array.dtype == type.dtype else array.astype(type.dtype)


def _traced(step: Any, carry: Any, xs: Any) -> tuple[Body, Arrays, Any]:
    """The body of a scan, the values that it closes over, and the structure of what it returns."""
    first = jax.eval_shape(lambda xs: jax.tree.map(lambda a: a[0], xs), xs)
    traced, shapes = jax.make_jaxpr(step, return_shape=True)(carry, first)
    body = Body(with_constants(traced), len(traced.consts), len(jax.tree.leaves(carry)))
    return body, list(traced.consts), jax.tree.structure(shapes)


def _segmented(loop: Loop, constants: Arrays, carry: Arrays, inputs: Arrays, size: int) -> Arrays:
    """Runs a scan in segments. The steps that do not fill a segment are taken first."""
    time = loop.count
    count, rest = divmod(time, min(size, time))
    whole = dataclasses.replace(loop, count=count, size=min(size, time))
    if not rest:
        carry, outputs = _scan(whole, constants, carry, inputs)
        return [*carry, *outputs]
    cut = time - rest if loop.reverse else rest
    parts = [[a[:cut] for a in inputs], [a[cut:] for a in inputs]]
    halves: list[Arrays] = [[], []]
    first = 1 if loop.reverse else 0
    for place, part in ((first, dataclasses.replace(loop, count=1, size=rest)), (1 - first, whole)):
        carry, halves[place] = _scan(part, constants, carry, parts[place])
    return [*carry, *(jnp.concatenate(pair) for pair in zip(*halves, strict=True))]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(loop: Loop, constants: Arrays, carry: Arrays, inputs: Arrays) -> tuple[Arrays, Arrays]:
    loop = loop.ahead(max(array.size for array in carry))
    step = loop.body.sorted
    border = step.fix(constants)
    fixed = step.enter(border)
    once = lambda carry, now: divided(step.forward(fixed, carry, *now), len(carry))

    def segment(carry, inputs):
        return loop.run(once, carry, (step.ahead(border, inputs), inputs), loop.size)

    if loop.count == 1:
        return segment(carry, inputs)
    carry, outputs = loop.run(segment, carry, loop.segments(inputs), loop.count)
    return carry, loop.steps(outputs)


def _segment(
    loop: Loop, parts: Derivative, border: Arrays, fixed: Arrays, carry: Arrays, inputs: Arrays
) -> tuple[Arrays, tuple[Arrays, Arrays]]:
    """Runs a segment: the carry after it, and each step's outputs and other values to store."""

    def step(carry, now):
        after, outputs, kept = parts.forward(fixed, carry, *now)
        return after, (outputs, kept)

    return loop.run(step, carry, (parts.step.ahead(border, inputs), inputs), loop.size)


def _forward(loop: Loop, *arguments: Any) -> Any:
    constants, carry, inputs = jax.tree.map(lambda argument: argument.value, arguments)
    # Not only those that are differentiated here. What is stored must be the same each time, since
    # JAX traces a function once (in jit, checkpoint or a step) that may be differentiated with
    # respect to this in one place and to that in another. XLA leaves out what nobody reads.
    wanted = jax.tree.map(differentiable, (constants, carry, inputs))
    parts = derivative(loop.body, tuple(wanted[0]), tuple(wanted[2]))
    border = parts.step.fix(constants)
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
    # The gradient of an output that nothing reads is zero, and not worth an array of its size.
    d_outputs = [None if _is_zero(d) else loop.segments(d) for d in chosen(cotangents[1], given)]
    border = parts.step.fix(constants)
    fixed = parts.prepare(border)

    def back_one_step(d_carry, now):
        kept, inputs, d_outputs = now
        types = parts.step.cotangents[len(d_carry) :]
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

    zeros = [blank(type_of(v)) for v in chosen(parts.step.border, parts.step.learned)]
    now = loop.segments(inputs), found, d_outputs
    (d_carry, d_border), d_inputs = loop.run(back, (d_carry, zeros), now, loop.count, back=True)
    spread = lambda flags, some: replaced([None] * len(flags), flags, some)
    return (
        spread(parts.step.wanted_constants, parts.step.of_constants(constants, d_border)),
        spread(carried, d_carry),
        spread(parts.step.wanted_inputs, loop.steps(d_inputs)),
    )


_scan.defvjp(_forward, _backward, symbolic_zeros=True)


def _is_zero(cotangent: Any) -> bool:
    """Whether this is the gradient of a value that nothing reads."""
    return isinstance(cotangent, SymbolicZero)


def _instantiated(cotangent: Any) -> Array:
    return blank(type_of(cotangent)) if _is_zero(cotangent) else cotangent
