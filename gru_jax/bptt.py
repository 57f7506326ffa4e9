"""Backpropagation through time, with every product batched over time that need not be a step's.

The plain scan's derivative multiplies matrices step by step. Only one of its products has to: the
one that carries the gradient from a step to the one before. What the inputs add to the gates, and
what all steps together add to the gradients of W, U and b, are one product for a whole segment of
steps, short enough to stay in a core's cache.

    forward, from the first segment to the last:
      p = x W + b                      all steps of the segment at once
      s_t = p_t + h_{t-1} U, h_t       step by step
    backward, from the last segment to the first:
      dh_{t-1}, ds_t                   step by step: element-wise, and ds_t U^T
      dW, dU, db, dx                   all steps of the segment at once
"""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.custom_derivatives import SymbolicZero

from gru_jax.axes import Array, Carry, HiddenSequence, Sequence
from gru_jax.cells.base import Cell

ROWS = 2  # of a segment's products, at least, a unit
ROWS_RECOMPUTED = 256  # the same in all, where the segment's memory counts
FEW = 4  # times the batch up to which a step's products are inefficient
SEGMENTS = 4  # of a sequence, at least
CACHED = 10_000  # numbers, at least, in each array of a segment


@dataclasses.dataclass(frozen=True)
class Plan:
    """All that is fixed of a run over time.

    graph: the cell without its parameters.
    segment: steps that are taken together.
    recompute: for the gradient, keep the carry before each segment only, and compute the
      segment again; otherwise each step's carry and sums are kept.
    """

    graph: nnx.GraphDef[Cell]
    reverse: bool
    segment: int
    recompute: bool

    def cell(self, params: Any) -> Cell:
        return nnx.merge(self.graph, params)

    def segments(self, tree: Any) -> Any:
        """Arrays with time first, as (segments, steps of one, ...)."""
        return jax.tree.map(lambda a: a.reshape(-1, self.segment, *a.shape[1:]), tree)


def run(
    cell: Cell,
    carry: Carry,
    start: Carry,
    whole: tuple[Sequence, Array | None, Array | None],
    *,
    segment: int,
    reverse: bool = False,
    recompute: bool = False,
) -> tuple[Carry, HiddenSequence]:
    """A separable cell over time: the carry after the last step, and all outputs, time first.

    Values and gradients are those of the plain scan, to rounding. There is no derivative in
    forward mode.

    Args:
      carry: that of the first step.
      start: what a restart goes back to.
      whole: the inputs (time, *batch, features); (time, *batch), False at padding, or None;
        (time, *batch), True where the carry restarts, or None.
      segment, reverse, recompute: see `Plan`.
    """
    graph, params = nnx.split(cell)
    rest = len(whole[0]) % segment
    plan = Plan(graph, reverse, segment, recompute)
    if not rest:
        return _scan(plan, params, carry, start, whole)
    # The steps that fill no segment are taken first.
    cut = len(whole[0]) - rest if reverse else rest
    parts = [jax.tree.map(lambda a: a[:cut], whole), jax.tree.map(lambda a: a[cut:], whole)]
    outputs: list[Any] = [None, None]
    for place, size in ((1, rest), (0, segment)) if reverse else ((0, rest), (1, segment)):
        plan = dataclasses.replace(plan, segment=size)
        carry, outputs[place] = _scan(plan, params, carry, start, parts[place])
    return carry, jnp.concatenate(outputs)


def pays(shape: tuple[int, ...], hidden: int) -> bool:
    """Whether this is faster than the plain scan's derivative, for inputs (time, *batch, features).

    A step's gradient of U is a product over the batch, which few examples make inefficient.
    With many of them what this writes down and reads again costs more than it saves.
    """
    return FEW * math.prod(shape[1:-1]) <= hidden


def segment_length(shape: tuple[int, ...], hidden: int, recompute: bool = False) -> int:
    """How many steps to take together, of inputs (time, *batch): see docs/log.md.

    The products over a segment need some rows to be efficient, its arrays fit a cache, and
    beside those of the whole sequence they are few.
    """
    rows = max(1, math.prod(shape[1:]))
    most = -(-shape[0] // SEGMENTS)
    enough = ROWS_RECOMPUTED if recompute else ROWS * hidden
    length = max(1, min(most, max(enough // rows, CACHED // (rows * hidden))))
    # One that divides the sequence spares a second program for the rest.
    return next((n for n in range(length, length // 2, -1) if shape[0] % n == 0), length)


def select(condition: Array | None, if_true: Any, if_false: Any) -> Any:
    """Per example, one of two pytrees whose arrays have features behind the batch axes.

    Without a condition, the first.
    """
    if condition is None:
        return if_true
    return jax.tree.map(lambda a, b: jnp.where(condition[..., None], a, b), if_true, if_false)


def restarted(restart: Array | None, start: Carry, carry: Carry) -> Carry:
    """The carry that a step sees."""
    return carry if restart is None else select(restart, start, carry)


def _after(flags: Any, cell: Cell, carry: Carry, start: Carry, sums: Any) -> tuple[Carry, Array]:
    """What a step makes of its sums, element-wise: the carry after it, and its output."""
    valid, restart = flags
    after, _ = cell.mix(restarted(restart, start, carry), sums)
    after = select(valid, after, carry)
    output = cell.output(after)
    return after, select(valid, output, jnp.zeros_like(output))


def _segment(plan: Plan, params: Any, carry: Carry, start: Carry, segment: Any) -> Any:
    """One segment: the carry after it; of each step the output, the carry before, the sums."""
    cell, (steps, *flags) = plan.cell(params), segment

    def step(carry, now):
        projected, flags = now
        sums = cell.add(projected, cell.recur(restarted(flags[1], start, carry)))
        after, output = _after(flags, cell, carry, start, sums)
        return after, (output, carry, sums)

    return jax.lax.scan(step, carry, (cell.project(steps), flags), reverse=plan.reverse)


def _segments(plan: Plan, params: Any, carry: Carry, start: Carry, whole: Any) -> Any:
    """All segments: the carry at the end, all outputs, and what the gradient will need."""

    def advance(carry, segment):
        after, (outputs, *each) = _segment(plan, params, carry, start, segment)
        return after, (outputs, carry if plan.recompute else each)

    segments = plan.segments(whole)
    carry, (outputs, kept) = jax.lax.scan(advance, carry, segments, reverse=plan.reverse)
    return carry, outputs.reshape(-1, *outputs.shape[2:]), kept


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _scan(plan, params, carry, start, whole):
    """So many steps that segments divide them."""
    carry, outputs, _ = _segments(plan, params, carry, start, whole)
    return carry, outputs


def _forward(plan, *arguments):
    wants_inputs = arguments[-1][0].perturbed
    params, carry, start, whole = jax.tree.map(lambda argument: argument.value, arguments)
    carry, outputs, kept = _segments(plan, params, carry, start, whole)
    return (carry, outputs), (params, start, whole, kept, wants_inputs)


def _backward(plan, residuals, cotangents):
    params, start, whole, kept, wants_inputs = residuals
    d_carry, d_outputs = cotangents

    def sums_of(params, steps, before):
        cell = plan.cell(params)
        return cell.add(cell.project(steps), cell.recur(before))

    def back_one_step(state, now):
        """From the gradient after a step to that before it, and of the step's sums."""
        d_after, d_start = state
        carry, sums, (inputs, *flags), d_output = now
        cell = plan.cell(params)
        d_output = jnp.zeros_like(cell.output(carry)) if d_output is None else d_output
        _, pull = jax.vjp(functools.partial(_after, flags, cell), carry, start, sums)
        d_carry, d_start_direct, d_sums = pull((d_after, d_output))
        before = functools.partial(restarted, flags[1])
        _, pull = jax.vjp(lambda *ends: sums_of(params, inputs, before(*ends)), start, carry)
        d_start_through, d_carry_through = pull(d_sums)
        if d_start is not None:
            d_start = _added(d_start, d_start_direct, d_start_through)
        return (_added(d_carry, d_carry_through), d_start), d_sums

    def back(state, now):
        d_state, d_params = state
        here, kept, d_outputs = now
        if plan.recompute:
            _, (_, *kept) = _segment(plan, params, kept, start, here)
        carries, sums = kept
        steps = (carries, sums, here, d_outputs)
        d_state, d_sums = jax.lax.scan(back_one_step, d_state, steps, reverse=not plan.reverse)
        # As rows of one matrix: a product over two axes would copy its operands.
        before, inputs, d_sums = _rows((restarted(here[2], start, carries), here[0], d_sums))
        _, pull = jax.vjp(lambda params: sums_of(params, inputs, before), params)
        (d_params_here,), d_inputs = pull(d_sums), None
        if wants_inputs:
            _, pull = jax.vjp(lambda inputs: sums_of(params, inputs, before), inputs)
            (d_inputs,) = pull(d_sums)
        return (d_state, _added(d_params, d_params_here)), d_inputs

    zeros = functools.partial(jax.tree.map, jnp.zeros_like)
    d_carry = jax.tree.map(_instantiated, d_carry, is_leaf=_is_zero)
    state = (d_carry, None if whole[2] is None else zeros(start)), zeros(params)
    now = plan.segments(whole), kept, None if _is_zero(d_outputs) else plan.segments(d_outputs)
    (d_state, d_params), d_inputs = jax.lax.scan(back, state, now, reverse=not plan.reverse)
    d_carry, d_start = d_state
    d_start = zeros(start) if d_start is None else d_start
    d_inputs = d_inputs.reshape(whole[0].shape) if wants_inputs else None
    return d_params, d_carry, d_start, (d_inputs, None, None)


def _added(*trees: Any) -> Any:
    return jax.tree.map(lambda *leaves: sum(leaves[1:], leaves[0]), *trees)


def _rows(tree: Any) -> Any:
    return jax.tree.map(lambda a: a.reshape(-1, a.shape[-1]), tree)


def _is_zero(cotangent: Any) -> bool:
    """Whether nobody has read what this is the gradient of."""
    return isinstance(cotangent, SymbolicZero)


def _instantiated(cotangent: Any) -> Array:
    return jnp.zeros(cotangent.shape, cotangent.dtype) if _is_zero(cotangent) else cotangent


_scan.defvjp(_forward, _backward, symbolic_zeros=True)
