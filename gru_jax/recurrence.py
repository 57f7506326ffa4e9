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
    """Runs a cell over a sequence, with the interface of `nnx.RNN`.

        carry_t, outputs_t = cell(carry_{t-1}, inputs_t)

    Unlike `nnx.RNN`, it is exact about lengths: a sequence of length 0 returns the initial carry,
    outputs at padded steps are zero, and nothing at a padded step, not even a NaN, affects a value
    or a gradient. Also, `resets` restart the carry within a sequence, and `return_activations`
    returns the gates.

    Args:
      cell: a `Cell`, or any other `nnx.RNNCellBase` that changes no variables while it runs, such
        as those of Flax.
      time_major: inputs and outputs are (time, *batch, ...) instead of (*batch, time, ...).
      return_carry: return the carry after the last step as well.
      return_activations: return the gates as well, a dict of arrays shaped like the outputs; the
        cell must be a `Cell`.
      reverse: run from each sequence's last step to its first.
      keep_order: with `reverse`, return each output at the step that it belongs to; otherwise in
        the order in which they are computed, as `nnx.RNN` does by default.
      gradient, segment, unroll: how the gradient is computed; they change speed and memory, not
        values: see `gru_jax.scan`.

    Raises:
      FieldError: `gradient`, `segment` or `unroll` has a value that is not allowed.
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
        """Runs the cell over `inputs`. Options that are not given are those of the constructor.

        Args:
          inputs: (*batch, time, features), or (time, *batch, features) if time-major.
          initial_carry: the carry to start from; by default the cell's initial state.
          seq_lengths: (*batch,) whole numbers in 0..time; the steps beyond are padding.
          resets: booleans shaped like the inputs without features. Before a step where it is
            True, the carry is set back to the cell's initial state.
          rngs: passed to the cell's `initialize_carry`; a `Cell` does not use it.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations).

        Raises:
          ValueError: the inputs' shape does not fit the cell, or activations are wanted of a
            cell that is not a `Cell`.
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
            # Zeros instead of padding: in the gradient, a NaN times 0 would still be NaN.
            steps = select(valid, steps, jnp.zeros_like(steps))

        start = self.cell.initialize_carry(steps.shape[1:], rngs or nnx.Rngs(0))
        if initial_carry is None:
            initial_carry = start
        # The given carry may have another precision than the state.
        initial_carry = jax.tree.map(lambda a, s: jnp.asarray(a, s.dtype), initial_carry, start)

        def step(carry, now):
            inputs, is_valid, restart = now
            before = select(restart, start, carry) if restarts is not None else carry
            after, seen = self._advance(before, inputs, return_activations)
            if valid is None:
                return after, seen
            # The carry does not change at padded steps, so `reverse` need not flip the inputs.
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
        """One step: the new carry, and the pair of its output and its activations, if wanted."""
        if not wants_activations:
            carry, output = self.cell(carry, inputs)
            return carry, (output, None)
        if not isinstance(self.cell, Cell):
            raise ValueError(f"{type(self.cell).__name__} has no activations: must be a Cell")
        carry, activations = self.cell.step(carry, inputs)
        return carry, (self.cell.output(carry), activations)

    def output(self, carry: Carry) -> Array:
        """What the layer above sees of a carry, (*batch, hidden)."""
        if isinstance(self.cell, Cell):
            return self.cell.output(carry)
        return carry[-1] if isinstance(carry, tuple) else carry

    def initialize_carry(self, batch: tuple[int, ...]) -> Carry:
        """The carry before the first step, for these leading axes."""
        return self.cell.initialize_carry((*batch, self.cell.in_features), nnx.Rngs(0))


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


def _flip(sequence: Array, lengths: Lengths | None) -> Array:
    """Reverses a time-major sequence in time; padded steps stay behind each example's steps."""
    if lengths is None:
        return jnp.flip(sequence, axis=0)
    time = jnp.arange(sequence.shape[0]).reshape(-1, *[1] * lengths.ndim)
    source = jnp.where(time < lengths, lengths - 1 - time, time)
    return jnp.take_along_axis(sequence, _beside(source, sequence), axis=0)
