"""How a pass over time is regularised, whatever cell it runs, see `regularizers`.

A cell's `step` knows nothing of all this. Its gates are copied, and the copies multiply what they
hear by a mask. What a cell reports as its candidate is masked where the equations of its step, as
JAX traces them, compute it. And a state is held after the step.
"""

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from gru_jax.axes import Array, Carry, Sequence
from gru_jax.bptt.jaxprs import bind, trace, value_of, variables
from gru_jax.cells.base import Cell
from gru_jax.cells.gates import Gate
from gru_jax.fields import FieldError
from gru_jax.placement import divided_like
from gru_jax.regularizers import Draws, Regularizer, dropped

Advance = Callable[[Carry, bool], Any]  # the carry, and whether activations are wanted


@dataclasses.dataclass(frozen=True, eq=False)
class Pass:
    """One pass of a layer over its inputs.

    regularizer: what it is regularised with.
    cell: the cell, with masks in its gates and noise on its weights.
    steps: the inputs, (time, *batch, ...), without those that dropout leaves out.
    masks: booleans (time, *batch, hidden), by the names of candidates and states: which to keep,
      and which to hold.
    constant: the candidates' masks, where those are drawn once a sequence.
    """

    regularizer: Regularizer
    cell: Any
    steps: Sequence
    masks: dict[str, dict[str, Array]] = dataclasses.field(default_factory=dict)
    constant: dict[str, Array] = dataclasses.field(default_factory=dict)

    def step(self, advance: Advance, carry: Carry, masks: Any, wanted: bool) -> Any:
        """One step: the carry after it, its output, and its activations if wanted.

        Args:
          advance: the step without regularisers.
          masks: those of this step.
        """
        candidates = {**self.constant, **masks.get("candidate", {})}
        if candidates:
            rate = self.regularizer.candidate_dropout
            after, (output, seen) = with_candidates(advance, carry, candidates, rate)
        else:
            after, (output, seen) = advance(carry, wanted)
        if any(self.regularizer.zoneout):
            after = _held(self.cell, self.regularizer, carry, after, masks.get("held"))
            output = self.cell.output(after)
        return after, (output, seen if wanted else None)


def begin(regularizer: Regularizer, cell: Any, steps: Sequence, draws: Draws | None) -> Pass:
    """Draws all masks and noise of a pass; without `draws`, there are none.

    Args:
      steps: the inputs, (time, *batch, *features).
    """
    if draws is None or not regularizer.is_random:
        return Pass(regularizer, cell, steps)
    cut = steps.ndim - cell.num_feature_axes
    time, *leading = steps.shape[:cut]
    batch = tuple(leading)

    def of_sequences(rate: float, draws: Draws, shape: tuple[int, ...], dtype: Any) -> list[Array]:
        """Masks (*batch, *shape): one, or one for each gate."""
        count = 1 if regularizer.tied else len(gates(cell))
        kept = draws.chosen_by_example(1 - rate, batch, (count, *shape))
        return list(jnp.moveaxis(dropped(jnp.ones((), dtype), kept, rate), len(batch), 0))

    def of_steps(names: Any, probability: Any, draws: Draws, time: int) -> dict[str, Array]:
        """Booleans (time, *batch, hidden) for each name."""
        shape = len(names), time, cell.hidden_features
        drawn = draws.chosen_by_example(probability, batch, shape)
        return dict(zip(names, jnp.moveaxis(drawn, (-3, -2), (0, 1)), strict=True))

    cell = noisy(cell, regularizer.weight_noise, draws)
    if rate := regularizer.weight_drop:
        cell = _weights_dropped(cell, rate, draws.at("weight drop"))
    if rate := regularizer.input_dropout:
        dtype = jnp.promote_types(steps.dtype, jnp.float32)
        masks = of_sequences(rate, draws.at("input"), steps.shape[cut:], dtype)
        if regularizer.tied:
            steps = steps.astype(dtype) * masks[0][None]
        else:
            cell = with_masks(cell, "input_mask", masks)
    if rate := regularizer.recurrent_dropout:
        shape = (cell.hidden_features,)
        masks = of_sequences(rate, draws.at("state"), shape, cell.state_dtype)
        shared = len(gates(cell)) if regularizer.tied else 1
        cell = with_masks(cell, "state_mask", masks * shared)
    found = Pass(regularizer, cell, steps)
    if rate := regularizer.candidate_dropout:
        once = regularizer.candidate_mask == "sequence"
        kept = of_steps(cell.CANDIDATES, 1 - rate, draws.at("candidate"), 1 if once else time)
        if once:
            found.constant.update({name: mask[0] for name, mask in kept.items()})
        else:
            found.masks["candidate"] = kept
    if any(regularizer.zoneout):
        rates = zoneout_rates(cell, regularizer)
        each = jnp.array(list(rates.values())).reshape(-1, 1, 1)
        found.masks["held"] = of_steps(rates, each, draws.at("zoneout"), time)
    return found


def gates(cell: nnx.Module) -> dict[str, Gate]:
    """The gates of a cell, by the names of its attributes."""
    return {
        ".".join(map(str, path)): module
        for path, module in nnx.iter_modules(cell)
        if isinstance(module, Gate)
    }


def with_masks(cell: nnx.Module, name: str, masks: list[Array]) -> Any:
    """A copy of the cell whose gates have these masks under an attribute's name."""
    cell = nnx.merge(*nnx.split(cell))
    for gate, mask in zip(gates(cell).values(), masks, strict=True):
        setattr(gate, name, nnx.Variable(mask))
    return cell


def with_candidates(advance: Advance, carry: Carry, kept: dict[str, Array], rate: float) -> Any:
    """What `advance(carry, True)` returns, where dropout is applied to some activations.

    It is applied where the step has computed the activation, before anything else reads it.

    Args:
      kept: booleans by the names of the activations: which values to keep.
    """
    leaves, structure = jax.tree.flatten(carry)
    found: Any = None

    def flat(leaves):
        nonlocal found
        outputs, found = jax.tree.flatten(advance(jax.tree.unflatten(structure, leaves), True))
        return outputs

    program = trace(flat, leaves)
    _, (_, activations) = jax.tree.unflatten(found, program.outputs)
    names = {activations[name]: name for name in kept}
    values = program.constants | dict(zip(program.inputs, leaves, strict=True))
    for equation in program.equations:
        results = bind(equation, [value_of(atom, values) for atom in equation.invars])
        for variable, value in zip(equation.outvars, results, strict=True):
            name = names.get(variable)
            values[variable] = value if name is None else dropped(value, kept[name], rate)
    return jax.tree.unflatten(found, [value_of(atom, values) for atom in program.outputs])


def noisy(module: Any, deviation: float, draws: Draws) -> Any:
    """The module with Gaussian noise on all parameters, whose gradients are those without."""
    if not deviation:
        return module
    graph, params, rest = nnx.split(module, nnx.Param, ...)  # type: ignore[misc]
    leaves, structure = jax.tree.flatten(params)
    dtype = jnp.result_type(jnp.float32, *leaves)
    noise = draws.at("weight noise").normal((sum(leaf.size for leaf in leaves),), dtype)
    moved = [
        (leaf + deviation * part).astype(leaf.dtype)
        for leaf, part in zip(leaves, _parts(noise, leaves), strict=True)
    ]
    return nnx.merge(graph, jax.tree.unflatten(structure, moved), rest)


def zoneout_rates(cell: Cell, regularizer: Regularizer) -> dict[str, float]:
    """The rate of each state of the cell."""
    rates = regularizer.zoneout
    each = rates * len(cell.STATES) if len(rates) == 1 else rates
    return dict(zip(cell.STATES, each, strict=True))


def _held(
    cell: Cell, regularizer: Regularizer, before: Carry, after: Carry, held: dict[str, Any] | None
) -> Carry:
    """The carry after zoneout; its expectation if `held` is None."""

    def one(name: str, rate: float, before: Array, after: Array) -> Array:
        if not rate:
            return after
        if held is None:
            return rate * before + (1 - rate) * after
        return jnp.where(held[name], divided_like(before, jax.typeof(after)), after)

    several = len(cell.STATES) > 1
    pairs = zip(before, after, strict=True) if several else [(before, after)]
    rates = zoneout_rates(cell, regularizer).items()
    states = [one(*rate, *pair) for rate, pair in zip(rates, pairs, strict=True)]
    return tuple(states) if several else states[0]


def _weights_dropped(cell: Cell, rate: float, draws: Draws) -> Cell:
    """A copy of the cell with dropout on the recurrent kernels of its gates."""
    cell = nnx.merge(*nnx.split(cell))
    those = [gate for gate in gates(cell).values() if gate.recurrent_kernel is not None]
    kernels = [gate.recurrent_kernel[...] for gate in those]
    kept = draws.chosen(1 - rate, (sum(kernel.size for kernel in kernels),))
    for gate, kernel, part in zip(those, kernels, _parts(kept, kernels), strict=True):
        gate.recurrent_kernel = nnx.Param(dropped(kernel, part, rate))
    return cell


def _parts(values: Array, like: list[Array]) -> list[Array]:
    """One long vector as arrays of these shapes."""
    ends = itertools.accumulate(array.size for array in like)
    return [
        values[end - array.size : end].reshape(array.shape)
        for end, array in zip(ends, like, strict=True)
    ]


def check(regularizer: Regularizer, cell: nnx.RNNCellBase) -> None:
    """Refuses what has no effect on a cell.

    Raises:
      FieldError: a regulariser does not apply to the cell.
    """
    name = type(cell).__name__

    def refused(field: str, allowed: str) -> FieldError:
        return FieldError(f"regularizer.{field}", getattr(regularizer, field), allowed)

    if regularizer.dropout:
        raise refused("dropout", "0: there is only one layer")
    off = {"tied": True, "zoneout": (), "weight_drop": 0}
    inside = ("recurrent_dropout", "tied", "candidate_dropout", "zoneout", "weight_drop")
    chosen = [field for field in inside if getattr(regularizer, field) != off.get(field, 0)]
    if not chosen:
        return
    if not isinstance(cell, Cell) or type(cell).__call__ is not Cell.__call__:
        raise refused(chosen[0], f"{off.get(chosen[0], 0)}: {name} is not a Cell defined by a step")
    start, x = cell.initialize_carry((cell.in_features,)), jnp.zeros(cell.in_features)
    mask = jnp.ones(cell.hidden_features, cell.state_dtype)

    def masked(attribute: str, mask: Array) -> Carry:
        copy = with_masks(cell, attribute, [mask] * len(gates(cell)))
        return copy.checked_step(start, x)[0]

    if regularizer.recurrent_dropout and not _has_say(lambda m: masked("state_mask", m), mask):
        raise refused("recurrent_dropout", f"0: no Gate of {name} hears the state")
    heard = lambda: _has_say(lambda m: masked("input_mask", m), jnp.ones(cell.in_features))
    if not regularizer.tied and (len(gates(cell)) < 2 or not heard()):
        raise refused("tied", f"True: {name} has no two Gates that hear the input")
    once = lambda carry, _: _advanced(cell, carry, x)
    for candidate in cell.CANDIDATES if regularizer.candidate_dropout else ():
        run = lambda m, candidate=candidate: with_candidates(once, start, {candidate: m}, 0)[0]
        if candidate not in cell.checked_step(start, x)[1] or not _has_say(run, mask > 0):
            raise refused("candidate_dropout", f"0: {name} reports no activation {candidate!r}")
    if regularizer.candidate_dropout and not cell.CANDIDATES:
        raise refused("candidate_dropout", f"0: {name} adds nothing to an old state")
    if not _fits(regularizer.zoneout, cell):
        states = ", ".join(cell.STATES)
        fixed = [] if cell.HELD is None else [n for n in cell.STATES if n not in cell.HELD]
        allowed = f"one rate for each of {states}, and 0 for {', '.join(fixed)}"
        raise refused("zoneout", allowed if fixed else f"one rate, or one for each of {states}")
    kernels = [gate.recurrent_kernel for gate in gates(cell).values()]
    if regularizer.weight_drop and all(kernel is None for kernel in kernels):
        raise refused("weight_drop", f"0: no Gate of {name} has a recurrent kernel")


def _fits(rates: tuple[float, ...], cell: Cell) -> bool:
    """Whether these rates of zoneout are for states that the cell has, and that can be held."""
    if len(rates) not in (0, 1, len(cell.STATES)):
        return False
    each = zip(cell.STATES, rates * len(cell.STATES), strict=False)
    return cell.HELD is None or not any(rate for name, rate in each if name not in cell.HELD)


def _advanced(cell: Cell, carry: Carry, x: Array) -> Any:
    carry, activations = cell.checked_step(carry, x)
    return carry, (cell.output(carry), activations)


def _has_say(function: Callable[[Array], Any], mask: Array) -> bool:
    """Whether the value of a function depends on the mask."""
    program = trace(lambda given: jax.tree.leaves(function(given[0])), [mask])
    return not program.after(program.inputs).isdisjoint(variables(program.outputs))
