"""Cells whose variables change while they run, such as the count of dropout's random numbers."""

from collections.abc import Callable
from typing import Any

import jax
from flax import nnx


def functional(cell: nnx.Module, call: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Makes `call(cell, *arguments)` a function of the variables that it changes, too.

    Returns:
      A function (variables, *arguments) -> (variables, result), and the variables before the first
      call. These are None for a cell that changes no variable, as most do not.
    """
    changed = _changed(cell, call, arguments)
    if not changed:
        return (lambda variables, *arguments: (variables, call(cell, *arguments))), None
    changes = lambda path, _: path in changed
    graph, start, rest = nnx.split(cell, changes, ...)  # type: ignore[misc]

    def run(variables: Any, *arguments: Any) -> tuple[Any, Any]:
        copy = nnx.merge(graph, variables, rest, copy=True)
        result = call(copy, *arguments)
        return nnx.state(copy, changes), result

    return run, start


def _changed(cell: nnx.Module, call: Callable[..., Any], arguments: tuple[Any, ...]) -> set[Any]:
    """The paths of the variables, other than parameters, that a call changes."""
    graph, params, others = nnx.split(cell, nnx.Param, ...)  # type: ignore[misc]
    if not jax.tree.leaves(others):
        return set()
    changed = set()

    def trace(others: Any, *arguments: Any) -> None:
        before = dict(nnx.to_flat_state(others))
        values = {path: variable.get_value() for path, variable in before.items()}
        copy = nnx.merge(graph, params, others, copy=True)
        call(copy, *arguments)
        for path, variable in nnx.to_flat_state(nnx.state(copy, nnx.Not(nnx.Param))):
            if variable.get_value() is not values.get(path):
                changed.add(path)

    jax.eval_shape(trace, others, *arguments)
    return changed
