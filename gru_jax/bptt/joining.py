"""Products of a step that multiply the same values, as one product.

    h U_r, h U_z, h U_n  ->  h [U_r U_z U_n], divided again

The gates of a cell hear the same input and the same state. One product takes less time than several
that are as small as a step's, and so does its derivative: the gradients of the gates, side by side,
times one matrix.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax import lax

from gru_jax.bptt.jaxprs import (
    ClosedJaxpr,
    JaxprEqn,
    Program,
    Var,
    bind,
    call,
    is_product,
    trace,
    type_of,
    value_of,
    variables,
)
from gru_jax.bptt.lists import divided


def joined(jaxpr: ClosedJaxpr, constants: int) -> ClosedJaxpr:
    """The same function with fewer products.

    Args:
      constants: how many of its first arguments are the same at every step. Products are joined
        whose right matrices depend on these alone.
    """
    whole = lambda fixed, rest: call(jaxpr, [*fixed, *rest])
    program = trace(whole, *divided(jaxpr.in_avals, constants), fixed=1)
    varying = program.after(program.inputs[constants:])
    groups = _groups(program, varying)
    if not groups:
        return jaxpr
    first = {id(group[0]): group for group in groups}
    others = {id(equation) for group in groups for equation in group[1:]}
    fixed = [e for e in program.equations if varying.isdisjoint(e.outvars)]
    loop = [e for e in program.equations if not varying.isdisjoint(e.outvars)]

    def run(*values: Any) -> list[Any]:
        found = program.constants | dict(zip(program.inputs, values, strict=True))
        for equation in [*fixed, *loop]:
            if id(equation) in others:
                continue
            if group := first.get(id(equation)):
                found.update(_together(program, group, found))
            else:
                given = [value_of(atom, found) for atom in equation.invars]
                found.update(zip(equation.outvars, bind(equation, given), strict=True))
        return [value_of(atom, found) for atom in program.outputs]

    return jax.make_jaxpr(run)(*jaxpr.in_avals)


def _groups(program: Program, varying: set[Var]) -> list[list[JaxprEqn]]:
    """The products of the same values with several fixed matrices."""
    found: dict[Any, list[JaxprEqn]] = {}
    for equation in filter(is_product, program.equations):
        left, right = equation.invars
        if variables([left]) and left in varying and right not in varying:
            # What is converted several times has the same values each time.
            values, matrix = _source(program, left), _source(program, right)
            kind = [type_of(atom).dtype for atom in (left, right, matrix)]
            found.setdefault((values, *kind, repr(equation.params)), []).append(equation)
    return [group for group in found.values() if len(group) > 1]


def _together(program: Program, group: Sequence[JaxprEqn], found: dict[Var, Any]) -> dict[Var, Any]:
    """The results of the products, by their variables."""
    left, right = group[0].invars
    # As they are stored: the gradients of all segments are added up in that precision.
    matrices = [value_of(_source(program, equation.invars[1]), found) for equation in group]
    matrix = lax.convert_element_type(lax.concatenate(matrices, 1), type_of(right).dtype)
    out = lax.dot_general_p.bind(value_of(left, found), matrix, **group[0].params)
    sizes = [matrix.shape[1] for matrix in matrices]
    outs = [equation.outvars[0] for equation in group]
    return dict(zip(outs, lax.split(out, sizes, out.ndim - 1), strict=True))


def _source(program: Program, atom: Any) -> Any:
    """What it is rounded from, if it is. One step back: rounded twice, it has other values."""
    makers = {v: e for e in program.equations for v in e.outvars}
    maker = makers.get(atom) if variables([atom]) else None
    if maker is None or maker.primitive is not lax.convert_element_type_p:
        return atom
    (source,) = maker.invars
    return source if type_of(source).dtype.itemsize > type_of(atom).dtype.itemsize else atom
