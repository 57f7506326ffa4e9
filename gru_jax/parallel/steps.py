"""All steps of a scan at once, if its carry is linear."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gru_jax.axes import Array
from gru_jax.bptt import jaxprs
from gru_jax.parallel import recurrence
from gru_jax.parallel.linear import REST, Linear, leaves_out, linear, reached

Step = Callable[[Any, Any], tuple[Any, Any]]
Arrays = list[Array]
Solve = Callable[[recurrence.Matrix, recurrence.Vector, bool, bool], recurrence.Vector]


class NotLinearError(ValueError):
    """A step is not linear in its carry, unit by unit."""


class Steps:
    """The values of all steps of a scan, of which more and more become known.

    Args:
      step: one step.
      carry: the types of its carry.
      xs: the inputs of all steps.
      reverse: whether the last step is taken first.
    """

    def __init__(self, step: Step, carry: Any, xs: Any, reverse: bool):
        first = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), xs)
        flat, structure = jax.tree.flatten((carry, first))
        self._program = jaxprs.trace(lambda flat: step(*jax.tree.unflatten(structure, flat)), flat)
        count = len(jax.tree.leaves(carry))
        self._before, names = self._program.inputs[:count], self._program.inputs[count:]
        self._after, self._outputs = self._program.outputs[:count], self._program.outputs[count:]
        inputs = jax.tree.leaves(xs)
        self._time, self._reverse = inputs[0].shape[0], reverse
        self._known: dict[jaxprs.Var, Array] = dict(self._program.constants)
        self._stacked: set[jaxprs.Var] = set()  # those of them with a leading axis of time
        self._cuts = False  # whether a step may leave out the carry, as where it is set back
        for name, value in zip(names, inputs, strict=True):
            self._learn(name, value)

    def solve(self, init: Arrays, solve: Solve) -> Arrays:
        """Makes all carries known, from the one before the first step; returns the last.

        Args:
          solve: finds all c_t = A_t c_{t-1} + b_t, from the matrix A, the vector b, the direction
            of time, and whether a 0 in A cuts off what was before.

        Raises:
          NotLinearError: the step is not linear in its carry.
        """
        last: dict[int, Array] = {}
        while left := [place for place in range(len(init)) if place not in last]:
            for place, after in self._next(left, init, solve).items():
                self._learn(
                    self._before[place], recurrence.before(after, init[place], self._reverse)
                )
                name = self._after[place]
                if isinstance(name, jaxprs.Var) and name not in self._known:
                    self._learn(name, after)
                last[place] = after[0 if self._reverse else -1]
        self._follow([])
        return [last[place] for place in range(len(init))]

    def outputs(self) -> Arrays:
        """The outputs of all steps, once all carries are known."""
        return [self._at_all_steps(self._value(atom), atom) for atom in self._outputs]

    def _next(self, left: list[int], init: Arrays, solve: Solve) -> dict[int, Array]:
        """Some of the carries that are left, at all steps."""
        rows = self._follow(left)
        zero = jnp.zeros(1)
        rest = lambda place: self._at_all_steps(rows[place].get(REST, zero), self._after[place])
        if free := [place for place, row in rows.items() if row.keys() <= {REST}]:
            return {place: rest(place) for place in free}
        # Those that depend on each other are found together; they are of one shape.
        groups = [group for place in rows if (group := reached(place, rows))]
        if not groups:
            raise NotLinearError("the step is not linear in its carry, unit by unit")
        group = min(groups, key=len)
        share = lambda row, column: self._of_all_units(
            rows[row].get(column, zero), self._after[row]
        )
        a = [[share(row, column) for column in group] for row in group]
        # The recurrence starts from 0; its first step is given what the true start adds.
        first = -1 if self._reverse else 0
        starts = [init[place] for place in group]
        times = recurrence.cutting if self._cuts else jnp.multiply
        added = [
            sum(times(each[first], c) for each, c in zip(row, starts, strict=True)) for row in a
        ]
        b = [rest(place).at[first].add(more) for place, more in zip(group, added, strict=True)]
        return dict(zip(group, solve(a, b, self._reverse, self._cuts), strict=True))

    def _follow(self, left: list[int]) -> dict[int, Linear]:
        """Computes whatever does not depend on the carries that are left.

        Returns:
          Of these carries, those that are linear in those before the step.
        """
        found: dict[jaxprs.Var, Linear] = {}
        for place in left:
            name = self._before[place]
            if jaxprs.differentiable(name):
                type = jaxprs.type_of(name)
                found[name] = {place: jnp.ones((1, *type.shape), type.dtype)}

        def find(atom: jaxprs.Atom) -> Linear | None:
            if isinstance(atom, jaxprs.Literal) or atom in self._known:
                return {REST: self._value(atom)}
            return found.get(atom)

        for equation in self._program.equations:
            if all(name in self._known for name in equation.outvars):
                continue
            if all(name in self._known for name in jaxprs.variables(equation.invars)):
                self._compute(equation)
                continue
            given = [value for value in map(find, equation.invars) if value is not None]
            if len(given) == len(equation.invars):
                result = linear(equation, given)
                if result is not None:
                    found[equation.outvars[0]] = result
                    self._cuts |= leaves_out(equation, given)
        rows = {place: find(self._after[place]) for place in left}
        return {place: row for place, row in rows.items() if row is not None}

    def _compute(self, equation: jaxprs.JaxprEqn) -> None:
        stacked = not self._stacked.isdisjoint(jaxprs.variables(equation.invars))
        values = jaxprs.over_time(equation, self._known, self._stacked)
        self._known.update(zip(equation.outvars, values, strict=True))
        if stacked:
            self._stacked.update(equation.outvars)

    def _learn(self, name: jaxprs.Var, value: Array) -> None:
        self._known[name] = value
        self._stacked.add(name)

    def _value(self, atom: jaxprs.Atom) -> Array:
        """A known value, with an axis of time."""
        value = jnp.asarray(jaxprs.value_of(atom, self._known))
        return value if isinstance(atom, jaxprs.Var) and atom in self._stacked else value[None]

    def _of_all_units(self, value: Array, like: jaxprs.Atom) -> Array:
        """`value` has an axis of time, which stays as it is."""
        type = jaxprs.type_of(like)
        return jnp.broadcast_to(value, (len(value), *type.shape)).astype(type.dtype)

    def _at_all_steps(self, value: Array, like: jaxprs.Atom) -> Array:
        """`value` has an axis of time, maybe of size 1."""
        value = self._of_all_units(value, like)
        return jnp.broadcast_to(value, (self._time, *value.shape[1:]))
