"""A cell run over time."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import fields
from gru_jax.axes import Array, Carry, HiddenSequence, Lengths, Resets, Sequence
from gru_jax.bptt import GRADIENTS, scan
from gru_jax.cells.base import Cell


class RNN(nnx.Module):
    """Runs a cell over a sequence: `nnx.RNN`'s interface, with exact lengths and more.

        carry_t, outputs_t = cell(carry_{t-1}, inputs_t)

    Beyond `nnx.RNN`: a sequence of length 0 returns the initial carry, outputs at padding are
    zero, nothing at padding (not even a NaN) reaches a value or a gradient, `resets` restart
    the carry in mid-sequence, and `return_activations` gives every gate at every step.

    Args:
      cell: the recurrence: one of ours, or any `nnx.RNNCellBase` that changes no variable of its
        own while it runs, such as those of Flax.
      time_major: inputs and outputs are (time, *batch, ...) in place of (*batch, time, ...).
      return_carry: return the carry after the last step as well.
      return_activations: return a dict of the gates as well, shaped like the outputs; of our
        cells only.
      reverse: start at each sequence's last step.
      keep_order: with `reverse`, outputs stand at the step that they belong to; otherwise
        they are in the order of processing, as in `nnx.RNN`.
      gradient, segment, unroll: how the gradient is computed, which changes speed and memory,
        not values: see `gru_jax.scan`.
    """

    def __init__(
        self,
        cell: nnx.RNNCellBase,
        *,
        time_major: bool = False,
        return_carry: bool = False,
        return_activations: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        unroll: int = 1,
        gradient: str = "auto",
        segment: int = 0,
    ):
        self.cell: Any = cell
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
          rngs: handed to the cell's `initialize_carry`; ours do not use it.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations).

        Raises:
          ValueError: the inputs' shape does not fit the cell, or it shows no activations.
        """
        pick = lambda given, default: default if given is None else given
        time_major = pick(time_major, self.time_major)
        reverse = pick(reverse, self.reverse)
        keep_order = pick(keep_order, self.keep_order)
        return_carry = pick(return_carry, self.return_carry)
        return_activations = pick(return_activations, self.return_activations)

        features = self.cell.num_feature_axes
        if inputs.ndim < 1 + features or inputs.shape[-1] != getattr(
            self.cell, "in_features", inputs.shape[-1]
        ):
            raise ValueError(
                f"inputs have shape {inputs.shape}: the cell needs a time axis "
                f"and {getattr(self.cell, 'in_features', 'some')} features"
            )
        time_axis = 0 if time_major else inputs.ndim - 1 - features
        to_time_major = lambda a: jnp.moveaxis(a, time_axis, 0)
        from_time_major = lambda a: jnp.moveaxis(a, 0, time_axis)

        steps = to_time_major(inputs)
        restarts = None if resets is None else to_time_major(resets)
        valid = None
        if seq_lengths is not None:
            valid = jnp.arange(steps.shape[0]).reshape(-1, *[1] * seq_lengths.ndim) < seq_lengths
            # Zeros in place of padding: 0 times a NaN would still poison the gradients.
            steps = select(valid, steps, jnp.zeros_like(steps))

        start = self.cell.initialize_carry(steps.shape[1:], rngs or nnx.Rngs(0))
        if initial_carry is None:
            initial_carry = start
        # A carry handed in may be of another precision than the state is kept in.
        initial_carry = jax.tree.map(lambda a, s: jnp.asarray(a, s.dtype), initial_carry, start)

        def step(carry, now):
            inputs, is_valid, restart = now
            before = select(restart, start, carry) if restarts is not None else carry
            after, seen = self._advance(before, inputs, return_activations)
            if valid is None:
                return after, seen
            # Running backwards needs no flipping: over padding a carry does not move.
            nothing = jax.tree.map(jnp.zeros_like, seen)
            return select(is_valid, after, carry), select(is_valid, seen, nothing)

        carry, (outputs, activations) = scan(
            step,
            initial_carry,
            (steps, valid, restarts),
            reverse=reverse,
            unroll=self.unroll,
            gradient=self.gradient,
            segment=self.segment,
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

    def _advance(self, carry: Carry, inputs: Array, wants_activations: bool) -> tuple[Carry, Any]:
        """The carry after a step; its output and, if wanted, its activations."""
        if not wants_activations:
            carry, output = self.cell(carry, inputs)
            return carry, (output, None)
        if not isinstance(self.cell, Cell):
            raise ValueError(f"{type(self.cell).__name__} shows no activations: must be a Cell")
        carry, activations = self.cell.step(carry, inputs)
        return carry, (self.cell.output(carry), activations)

    def output(self, carry: Carry) -> Array:
        """What a carry shows to the layer above."""
        if isinstance(self.cell, Cell):
            return self.cell.output(carry)
        return carry[-1] if isinstance(carry, tuple) else carry

    def initialize_carry(self, batch: tuple[int, ...]) -> Carry:
        """The carry before the first step, for `batch` leading axes."""
        return self.cell.initialize_carry((*batch, self.cell.in_features), nnx.Rngs(0))


def select(condition: Array, if_true: Any, if_false: Any) -> Any:
    """Per example, one of two pytrees whose arrays have features behind the batch axes."""
    choose = lambda a, b: jnp.where(_beside(condition, a), a, b)
    return jax.tree.map(choose, if_true, if_false)


def _beside(values: Array, array: Array) -> Array:
    """The values, one an example, with an axis for each of the array's features."""
    return values.reshape(*values.shape, *[1] * (array.ndim - values.ndim))


def _flip(sequence: Array, lengths: Lengths | None) -> Array:
    """A time-major sequence backwards, each example within its own length."""
    if lengths is None:
        return jnp.flip(sequence, axis=0)
    time = jnp.arange(sequence.shape[0]).reshape(-1, *[1] * lengths.ndim)
    source = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(sequence, _beside(source, sequence), axis=0)
