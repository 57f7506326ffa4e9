"""A cell run over time."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax import arguments, fields, masking
from gru_jax.axes import Array, Carry, HiddenSequence, Key, Lengths, Resets, Sequence
from gru_jax.bptt import GRADIENTS, scan
from gru_jax.cells.base import Cell
from gru_jax.padding import flipped, last_output, select
from gru_jax.parallel import FORMS, is_linear, parallel_scan, quickest
from gru_jax.placement import is_divided, placed
from gru_jax.regularizers import Draws, Regularizer, checked, draws
from gru_jax.run import Run
from gru_jax.variables import functional

RECURRENCES = ("auto", "scan", "associative", "chunked")


class RNN(nnx.Module):
    """Runs a cell over a sequence, with the interface of `nnx.RNN`.

        carry_t, outputs_t = cell(carry_{t-1}, inputs_t)

    Unlike `nnx.RNN`, it is exact about lengths: a sequence of length 0 returns the initial carry,
    outputs at padded steps are zero, and nothing at a padded step, not even a NaN, affects a value
    or a gradient. Also, `resets` restart the carry within a sequence, and `return_activations`
    returns the gates.

    Args:
      cell: a `Cell`, or any other `nnx.RNNCellBase`. It may change variables while it runs, as one
        with dropout does, and keeps them changed.
      time_major: inputs and outputs are (time, *batch, ...) instead of (*batch, time, ...).
      return_carry: return the carry after the last step as well (True), or the carry after every
        step (`"all"`): arrays shaped like the outputs, for an LSTM those of c and of h.
      return_activations: return the gates as well, a dict of arrays shaped like the outputs; the
        cell must be a `Cell`.
      reverse: run from each sequence's last step to its first.
      keep_order: with `reverse`, return each output at the step that it belongs to; otherwise in
        the order in which they are computed, as `nnx.RNN` does by default.
      recurrence: "scan": step by step, with any cell. "associative" or "chunked": many steps at
        once, with a cell that is linear in its state, such as `MinGRUCell`: see `parallel_scan`.
        "auto": "scan", but if the cell says that it is `LINEAR` and `gradient` is "auto",
        "chunked" for a state of at most 256 numbers, and on a GPU "associative" for every state. It
        changes speed and memory, not values.
      gradient, segment, unroll: how the gradient of "scan" is computed, see `gru_jax.scan`; they,
        too, change speed and memory only.
      regularizer: what a call with a key is regularised with, see `Regularizer`.

    Raises:
      FieldError: `return_carry`, `recurrence`, `gradient`, `segment` or `unroll` has a value that
        is not allowed; the cell is not linear in its state, as `recurrence` needs it; or a
        regulariser does not apply to the cell.
      TypeError: `cell` is not a `nnx.RNNCellBase`, or `regularizer` not a `Regularizer`.
    """

    def __init__(
        self,
        cell: nnx.RNNCellBase,
        *,
        time_major: bool = False,
        return_carry: bool | str = False,
        return_activations: bool = False,
        reverse: bool = False,
        keep_order: bool = False,
        recurrence: str = "auto",
        unroll: int = 1,
        gradient: str = "auto",
        segment: int = 0,
        regularizer: Regularizer | None = None,
    ):
        if not isinstance(cell, nnx.RNNCellBase):
            kind = type(cell).__name__
            raise TypeError(f"cell is of type {kind}: must be a Cell or another nnx.RNNCellBase")
        self.cell: Any = cell
        self.time_major = time_major
        self.return_carry = arguments.return_carry(return_carry)
        self.return_activations = return_activations
        self.reverse = reverse
        self.keep_order = keep_order
        self.recurrence = _possible(fields.one_of("recurrence", recurrence, RECURRENCES), cell)
        self.gradient = fields.one_of("gradient", gradient, GRADIENTS)
        self.segment = fields.integer("segment", segment, 0)
        self.unroll = fields.integer("unroll", unroll, 1)
        self.regularizer = checked(regularizer)
        masking.check(self.regularizer, cell)

    def __call__(
        self,
        inputs: Sequence,
        *,
        initial_carry: Carry | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_carry: bool | str | None = None,
        return_activations: bool | None = None,
        time_major: bool | None = None,
        reverse: bool | None = None,
        keep_order: bool | None = None,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        key: Key | None = None,
        examples: Array | None = None,
    ) -> HiddenSequence | tuple[Any, ...]:
        """Runs the cell over `inputs`. Options that are not given are those of the constructor.

        Args:
          inputs: (*batch, time, features), or (time, *batch, features) if time-major.
          initial_carry: the carry to start from; by default the cell's initial state.
          seq_lengths: (*batch,) whole numbers in 0..time; the steps beyond are padding.
          resets: booleans shaped like the inputs without features. Before a step where it is
            True, the carry is set back to the cell's initial state.
          rngs: passed to the cell's `initialize_carry`; a `Cell` does not use it.
          key, examples: turn the regularisers on, see `SequenceModel`.

        Returns:
          outputs, (carry, outputs), (outputs, activations) or (carry, outputs, activations).

        Raises:
          ValueError: an argument's shape, kind or value is not one of those above; or activations
            are wanted of a cell that has none. Under `jit`, where values are not known, a length
            below 0 counts as 0, and one above `time` as `time`.
        """
        pick = lambda given, default: default if given is None else given
        return_carry = pick(arguments.return_carry(return_carry), self.return_carry)
        return_activations = pick(return_activations, self.return_activations)
        run = self.run(
            inputs,
            initial_carry=initial_carry,
            seq_lengths=seq_lengths,
            resets=resets,
            return_activations=return_activations,
            every_carry=return_carry == "all",
            time_major=pick(time_major, self.time_major),
            reverse=pick(reverse, self.reverse),
            keep_order=pick(keep_order, self.keep_order),
            rngs=rngs,
            draws=draws(key, examples),
        )
        return run.chosen(run.outputs, return_carry, return_activations)

    def run(
        self,
        inputs: Sequence,
        *,
        initial_carry: Carry | None = None,
        seq_lengths: Lengths | None = None,
        resets: Resets | None = None,
        return_activations: bool = False,
        every_carry: bool = False,
        time_major: bool = False,
        reverse: bool = False,
        keep_order: bool = True,
        rngs: nnx.Rngs | nnx.RngStream | None = None,
        draws: Draws | None = None,
    ) -> Run:
        """Runs the cell over `inputs`; the arguments are those of `__call__`.

        Args:
          every_carry: whether the carry after every step is wanted.
          draws: what the regularisers draw from; None to turn them off.
        """
        axes = self.cell.num_feature_axes
        inputs = arguments.inputs(inputs, getattr(self.cell, "in_features", None), axes)
        time_axis = 0 if time_major else inputs.ndim - 1 - axes
        to_time_major = lambda a: jnp.moveaxis(a, time_axis, 0)
        from_time_major = lambda a: jnp.moveaxis(a, 0, time_axis)
        leading = inputs.shape[: inputs.ndim - axes]
        batch = leading[:time_axis] + leading[time_axis + 1 :]
        resets = arguments.resets(resets, leading, inputs)
        lengths = arguments.lengths(seq_lengths, batch, leading[time_axis], inputs)

        steps = to_time_major(inputs)
        restarts = None if resets is None else to_time_major(resets)
        valid = None
        if lengths is not None:
            valid = jnp.arange(steps.shape[0]).reshape(-1, *[1] * lengths.ndim) < lengths[None]
            # Zeros instead of padding: in the gradient, a NaN times 0 would still be NaN.
            steps = select(valid, steps, jnp.zeros_like(steps))

        regular = masking.begin(self.regularizer, self.cell, steps, draws)
        cell, steps, masks = regular.cell, regular.steps, regular.masks
        start = cell.initialize_carry(steps.shape[1:], nnx.Rngs(0) if rngs is None else rngs)
        initial_carry = arguments.carry(initial_carry, start)
        first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), (steps, masks))

        def call(cell, carry, inputs, masks):
            once = lambda carry, wanted: _advance(cell, carry, inputs, wanted)
            return regular.step(once, carry, masks, return_activations)

        advance, variables = functional(cell, call, initial_carry, *first)
        follows = True

        def step(state, now):
            nonlocal follows
            variables, carry = state
            inputs, is_valid, restart, masks = now
            before = select(restart, start, carry) if restarts is not None else carry
            variables, (after, (output, activations)) = advance(variables, before, inputs, masks)
            follows = _follows(cell, after, output)
            seen = output, activations, after if every_carry else None
            if valid is None:
                return (variables, after), seen
            # The carry does not change at padded steps, so `reverse` need not flip the inputs.
            nothing = jax.tree.map(jnp.zeros_like, seen)
            return (variables, select(is_valid, after, carry)), select(is_valid, seen, nothing)

        xs = steps, valid, restarts, masks
        if is_divided((xs, nnx.state(cell), initial_carry)):
            now = jax.tree.map(lambda a: a[0], xs)
            start, initial_carry = (
                placed(lambda c: step((variables, c), now)[0][1], c) for c in (start, initial_carry)
            )
        (variables, carry), seen = self._scan(step, (variables, initial_carry), xs, reverse)
        if variables is not None:
            nnx.update(self.cell, variables)
        last = self.output(carry) if follows else last_output(seen[0], lengths, reverse)
        if reverse and not keep_order:
            seen = jax.tree.map(lambda a: flipped(a, lengths), seen)
        outputs, activations, carries = jax.tree.map(from_time_major, seen)
        return Run(carry, outputs, activations, carries, last)

    def _scan(self, step: Any, carry: Any, xs: Any, reverse: bool) -> Any:
        form = self.recurrence
        linear = getattr(self.cell, "LINEAR", False) and not is_divided((carry, xs))
        if form == "auto" and self.gradient == "auto" and linear:
            form = quickest(carry)
        if form in FORMS:
            return parallel_scan(step, carry, xs, reverse, form=form)
        return scan(
            step,
            carry,
            xs,
            reverse=reverse,
            unroll=self.unroll,
            gradient=self.gradient,
            segment=self.segment,
        )

    def output(self, carry: Carry) -> Array:
        """What the layer above sees of a carry, (*batch, hidden)."""
        if isinstance(self.cell, Cell):
            return self.cell.output(carry)
        return carry[-1] if isinstance(carry, tuple) else carry

    def initialize_carry(self, batch: tuple[int, ...]) -> Carry:
        """The carry before the first step, for these leading axes.

        Raises:
          TypeError: `batch` is not a tuple of sizes, or the cell has no attribute `in_features`.
        """
        batch = arguments.shape("batch", batch, "the sizes of the leading axes, such as (32,)")
        features = getattr(self.cell, "in_features", None)
        if features is None:
            raise TypeError(
                f"{type(self.cell).__name__} has no in_features, the size of its inputs"
            )
        return self.cell.initialize_carry((*batch, features), nnx.Rngs(0))


def _possible(recurrence: str, cell: nnx.RNNCellBase) -> str:
    """The recurrence, if the cell allows it."""
    if recurrence in FORMS and isinstance(cell, Cell):
        carry = cell.initialize_carry((cell.in_features,))
        x = jax.ShapeDtypeStruct((cell.in_features,), cell.state_dtype)
        if not is_linear(cell, carry, x):
            allowed = f"auto or scan, since {type(cell).__name__} is not linear in its state"
            raise fields.FieldError("recurrence", recurrence, allowed)
    return recurrence


def _advance(
    cell: nnx.RNNCellBase, carry: Carry, inputs: Array, wants_activations: bool
) -> tuple[Carry, tuple[Array, Any]]:
    """One step: the new carry, and the pair of its output and its activations, if wanted."""
    if not wants_activations:
        carry, output = cell(carry, inputs)
        return carry, (output, None)
    name = type(cell).__name__
    if not isinstance(cell, Cell):
        raise ValueError(f"{name} has no activations: must be a Cell")
    if type(cell).__call__ is not Cell.__call__:
        raise ValueError(f"{name} overrides __call__, so the activations of step are not its own")
    carry, activations = cell.checked_step(carry, inputs)
    return carry, (cell.output(carry), activations)


def _follows(cell: nnx.RNNCellBase, carry: Carry, output: Array) -> bool:
    """Whether `RNN.output` computes the output of a step from the carry after it.

    So it is for a `Cell`, unless it overrides `__call__`, and wherever the output is the last array
    of the carry, as in all cells of Flax. Dropout of the outputs alone is an example of the other.
    """
    if isinstance(cell, Cell) and type(cell).__call__ is Cell.__call__:
        return True
    return output is (carry[-1] if isinstance(carry, tuple) else carry)
