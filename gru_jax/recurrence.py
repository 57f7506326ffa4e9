"""A cell run over time."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import bptt, fields
from gru_jax.axes import Array, Carry, HiddenSequence, Lengths, Resets, Sequence
from gru_jax.cells.base import Cell

GRADIENTS = ("auto", "plain", "batched", "recomputed")


class RNN(nnx.Module):
    """Runs a cell over a sequence: `nnx.RNN`'s interface, with exact lengths and more.

        carry_t = cell(carry_{t-1}, inputs_t),  outputs_t = cell.output(carry_t)

    Beyond `nnx.RNN`: a sequence of length 0 returns the initial carry, outputs at padding are
    zero, nothing at padding (not even a NaN) reaches a value or a gradient, `resets` restart
    the carry in mid-sequence, and `return_activations` gives every gate at every step.

    Args:
      cell: the recurrence.
      time_major: inputs and outputs are (time, *batch, ...) in place of (*batch, time, ...).
      return_carry: return the carry after the last step as well.
      return_activations: return a dict of the gates as well, shaped like the outputs.
      reverse: start at each sequence's last step.
      keep_order: with `reverse`, outputs stand at the step that they belong to; otherwise
        they are in the order of processing, as in `nnx.RNN`.
      gradient: how it is computed, which changes speed and memory, not values: "plain", the
        scan's own derivative; "batched", with products over many steps (see `bptt`);
        "recomputed", the same from the carries between segments only, which needs the least
        memory; "auto", "batched" where that is faster. Only "plain" has a derivative in
        forward mode (`jax.jvp`). It serves as well where gates are asked for, and for a GRU
        whose reset gate acts before the product.
      segment: of "batched" and "recomputed": steps taken together; 0: chosen by the sizes.
      unroll: of "plain": steps laid out in one iteration of the scan.
    """

    def __init__(
        self,
        cell: Cell,
        *,
        time_major: bool = False,
        return_carry: bool = False,
        return_activations: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        unroll: int = 1,
        gradient: str = "plain",
        segment: int = 0,
    ):
        self.cell = cell
        self.time_major = time_major
        self.return_carry = return_carry
        self.return_activations = return_activations
        self.reverse = reverse
        self.keep_order = keep_order
        self.gradient = fields.one_of("gradient", gradient, GRADIENTS)
        self.segment = fields.integer("segment", segment, 0)
        self.unroll = fields.integer("unroll", unroll, 1)

    def __call__(
        self,
        inputs: Sequence,
        *,
        initial_carry: Carry | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_carry: bool | None = None,
        return_activations: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
    ) -> HiddenSequence | tuple[Any, ...]:
        """Runs the cell over `inputs`; an argument left out takes the constructor's value.

        Args:
          inputs: (*batch, time, features), or (time, *batch, features) if time-major.
          initial_carry: the carry to start from; the cell's own by default.
          seq_lengths: (*batch,) whole numbers in 0..time; what is beyond is padding.
          resets: booleans shaped like the inputs without features. Where one is True the
            carry restarts from the cell's initial state before that step is taken.
          rngs: accepted for `nnx.Bidirectional` and not used: a cell holds no random state.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations).

        Raises:
          ValueError: the inputs' shape does not fit the cell.
        """
        del rngs
        pick = lambda given, default: default if given is None else given
        time_major = pick(time_major, self.time_major)
        reverse = pick(reverse, self.reverse)
        keep_order = pick(keep_order, self.keep_order)
        return_carry = pick(return_carry, self.return_carry)
        return_activations = pick(return_activations, self.return_activations)

        if inputs.ndim < 2 or inputs.shape[-1] != self.cell.in_features:
            raise ValueError(
                f"inputs have shape {inputs.shape}: the cell needs a time axis "
                f"and {self.cell.in_features} features"
            )
        time_axis = 0 if time_major else inputs.ndim - 2
        to_time_major = lambda a: jnp.moveaxis(a, time_axis, 0)
        from_time_major = lambda a: jnp.moveaxis(a, 0, time_axis)

        steps = to_time_major(inputs)
        restarts = None if resets is None else to_time_major(resets)
        valid = None
        if seq_lengths is not None:
            time = jnp.arange(steps.shape[0]).reshape(-1, *[1] * (steps.ndim - 2))
            valid = time < seq_lengths
            # Zeros in place of padding: 0 times a NaN would still poison the gradients.
            steps = bptt.select(valid, steps, jnp.zeros_like(steps))

        carry, outputs, activations = self._scan(
            steps, valid, restarts, initial_carry, reverse, return_activations
        )

        if reverse and not keep_order:
            outputs, activations = jax.tree.map(
                lambda a: _flip(a, seq_lengths), (outputs, activations)
            )
        outputs, activations = jax.tree.map(from_time_major, (outputs, activations))
        result: tuple[Any, ...] = (outputs,)
        if return_carry:
            result = (carry, *result)
        if return_activations:
            result = (*result, activations)
        return result if len(result) > 1 else outputs

    def _scan(self, steps, valid, restarts, initial_carry, reverse, wants_activations):
        """The recurrence over time-major `steps`; with `reverse`, from the last to the first.

        Running backwards needs no flipping: a carry does not move while it is over padding.
        """
        cell = self.cell
        start = cell.initialize_carry(steps.shape[1:])
        if initial_carry is None:
            initial_carry = start
        # A carry handed in may be of another precision than the state is kept in.
        initial_carry = jax.tree.map(lambda a, s: jnp.asarray(a, s.dtype), initial_carry, start)
        gradient = self.gradient
        if gradient == "auto":
            gradient = "batched" if bptt.pays(steps.shape, cell.hidden_features) else "plain"
        if wants_activations or not cell.separable or not steps.size:
            gradient = "plain"
        if gradient != "plain":
            sizes = steps.shape[:-1], cell.hidden_features
            plan: Any = {"reverse": reverse, "recompute": gradient == "recomputed"}
            length = self.segment or bptt.segment_length(*sizes, plan["recompute"])
            plan["segment"] = min(length, len(steps))
            whole = (steps, valid, restarts)
            return *bptt.run(cell, initial_carry, start, whole, **plan), None

        def step(carry, now):
            inputs, is_valid, restart = now
            before = bptt.restarted(restart, start, carry)
            # Inside the scan: projecting all steps beforehand was slower, see docs/log.md.
            after, activations = cell.step(before, cell.project(inputs))
            after = bptt.select(is_valid, after, carry)
            seen = (cell.output(after), activations)
            return after, bptt.select(is_valid, seen, jax.tree.map(jnp.zeros_like, seen))

        carry, (outputs, activations) = jax.lax.scan(
            step, initial_carry, (steps, valid, restarts), reverse=reverse, unroll=self.unroll
        )
        return carry, outputs, activations


def _flip(sequence: Array, lengths: Lengths | None) -> Array:
    """A time-major sequence backwards, each example within its own length."""
    if lengths is None:
        return jnp.flip(sequence, axis=0)
    time = jnp.arange(sequence.shape[0]).reshape(-1, *[1] * (sequence.ndim - 2))
    source = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(sequence, source[..., None], axis=0)
