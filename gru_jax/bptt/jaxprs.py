"""Functions as lists of equations (JAX's jaxprs), and parts of such lists as functions again.

This is the only module that uses `jax.extend.core`, whose interface may change with any release.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, DebugInfo, Jaxpr, JaxprEqn, Literal, Var, jaxpr_as_fun

from gru_jax.axes import Array

CALLS = {"jit", "pjit", "closed_call", "core_call", "checkpoint", "remat2"}
Atom = Var | Literal
Arrays = list[Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """A function of arrays as a list of equations, none of which calls another function.

    inputs, outputs: variables; an output may also be a literal.
    equations: in the order in which they are computed.
    constants: the values of the variables that are neither inputs nor results of an equation.
    """

    inputs: list[Var]
    outputs: list[Atom]
    equations: list[JaxprEqn]
    constants: dict[Var, Array]

    def after(self, sources: Iterable[Atom]) -> set[Var]:
        """The variables whose values depend on any of the sources, and the sources."""
        found = set(variables(sources))
        for equation in self.equations:
            if not found.isdisjoint(variables(equation.invars)):
                found.update(equation.outvars)
        return found

    def before(self, inputs: Iterable[Atom], outputs: Iterable[Atom]) -> list[JaxprEqn]:
        """The equations that are needed to compute the outputs from the inputs, in order."""
        known, wanted, found = set(variables(inputs)), set(variables(outputs)), []
        for equation in reversed(self.equations):
            if not (wanted - known).isdisjoint(equation.outvars):
                found.append(equation)
                wanted.update(variables(equation.invars))
        return found[::-1]

    def varying(self, sources: Iterable[Atom]) -> set[Var]:
        """The variables that depend on the sources, and the broadcasts that only they need.

        A broadcast of a fixed value does not depend on the sources, but if nothing else that is
        fixed reads it, to compute it beforehand would only make an array larger.
        """
        found = self.after(sources)
        fixed = [e for e in self.equations if found.isdisjoint(e.outvars)]
        read = {*variables(self.outputs), *(v for e in fixed for v in variables(e.invars))}
        spread = [e.outvars[0] for e in fixed if e.primitive is lax.broadcast_in_dim_p]
        return found | set(spread) - read

    def entering(self, varying: set[Var]) -> list[Var]:
        """The fixed variables that are outputs, or that equations with varying results read."""
        read = [a for e in self.equations if not varying.isdisjoint(e.outvars) for a in e.invars]
        found = dict.fromkeys(variables([*read, *self.outputs]))
        return [v for v in found if v not in varying and v not in self.constants]

    def unconverted(self, names: Iterable[Var]) -> list[Var]:
        """The variables from which these are computed by conversions of precision alone.

        The gradients of all segments are added up in the precision of these variables: a sum in
        bfloat16 would lose the small ones.
        """
        makers = {v: e for e in self.equations for v in e.outvars}
        found: list[Any] = []
        for name in names:
            found.append(name)
            while (
                maker := makers.get(found[-1])
            ) and maker.primitive is lax.convert_element_type_p:
                (found[-1],) = maker.invars
        return list(dict.fromkeys(variables(found)))

    def within(self, names: Sequence[Var]) -> dict[Var, tuple[Var, int, int]]:
        """Those of the variables that others hold: which, from where, along which axis."""
        found: dict[Var, tuple[Var, int, int]] = {}
        for equation in self.equations:
            if equation.primitive is lax.concatenate_p and equation.outvars[0] in names:
                start, axis = 0, equation.params["dimension"]
                for atom in equation.invars:
                    if isinstance(atom, Var) and atom in names:
                        found[atom] = equation.outvars[0], start, axis
                    start += type_of(atom).shape[axis]
        return {part: place for part, place in found.items() if place[0] not in found}

    def divided(self, name: Var) -> list[Var]:
        """The parts into which a variable is split, if nothing reads it as a whole; else itself.

        XLA's loops over parts of an array that is itself a part of a longer one use no vectors.
        """
        readers = [e for e in self.equations if name in variables(e.invars)]
        read = any(e.primitive is not lax.split_p for e in readers)
        if read or name in variables(self.outputs):
            return [name]
        return [part for e in readers for part in e.outvars]

    def part(self, inputs: Sequence[Var], outputs: Sequence[Atom]) -> Callable[..., list[Array]]:
        """The function that computes these outputs from values of these variables."""
        used = {a for e in self.before(inputs, outputs) for a in variables(e.invars)}
        constants = {v: c for v, c in self.constants.items() if v in used | set(outputs)}
        equations = self.before([*inputs, *constants], outputs)
        closed = _closed(constants, inputs, outputs, equations)
        return lambda *values: call(closed, values)


def variables(atoms: Iterable[Atom]) -> list[Var]:
    """The variables among the atoms, without the literals."""
    return [atom for atom in atoms if isinstance(atom, Var)]


def type_of(atom: Any) -> Any:
    """The abstract value of a variable or an array: its shape, dtype and so on."""
    return atom.aval


def differentiable(atom: Any) -> bool:
    """Whether a variable, or an array, holds real or complex numbers."""
    return jnp.issubdtype(getattr(atom, "aval", atom).dtype, jnp.inexact)


def blank(type: Any, *axes: int) -> Array:
    """Zeros of this type, with additional leading axes."""
    zeros = jnp.zeros((*axes, *type.shape), type.dtype)
    # The axes of a shard_map over which the value varies; JAX has renamed this attribute.
    varying = getattr(getattr(type, "manual_axis_type", type), "varying", getattr(type, "vma", ()))
    return lax.pcast(zeros, tuple(varying), to="varying") if varying else zeros


def trace(function: Callable[..., Any], *arguments: list[Any], fixed: int = 0) -> Program:
    """Traces a function to a `Program`.

    Args:
      function: takes lists of arrays; returns any pytree of arrays, which is flattened.
      arguments: the lists, of arrays or of their types.
      fixed: products with a matrix that depends on the first `fixed` lists alone are rewritten
        to the form that is fastest in a loop, see `_product`.
    """
    closed = jax.make_jaxpr(function)(*arguments)
    sizes = [len(argument) for argument in arguments]
    flags = [place < fixed for place, size in enumerate(sizes) for _ in range(size)]
    flat = lambda *values: _evaluate(closed.jaxpr, closed.consts, values, flags)[0]
    found = jax.make_jaxpr(flat)(*closed.in_avals)
    constants = dict(zip(found.jaxpr.constvars, found.consts, strict=True))
    return Program(found.jaxpr.invars, found.jaxpr.outvars, found.jaxpr.eqns, constants)


def value_of(atom: Atom, found: Mapping[Var, Any]) -> Any:
    """The value of an atom: a literal's own, or that of a variable in `found`."""
    return atom.val if isinstance(atom, Literal) else found[atom]


def call(jaxpr: ClosedJaxpr, values: Sequence[Any]) -> list[Array]:
    """The outputs of a jaxpr for these inputs."""
    return list(jaxpr_as_fun(jaxpr)(*values))


def with_constants(jaxpr: ClosedJaxpr) -> ClosedJaxpr:
    """The same function, with its constants as additional first arguments."""
    inner = jaxpr.jaxpr
    return _closed({}, [*inner.constvars, *inner.invars], inner.outvars, inner.eqns, inner.effects)


def bind(equation: JaxprEqn, values: Sequence[Array]) -> list[Array]:
    """The results of an equation for these values of its inputs."""
    given = {a: v for a, v in zip(equation.invars, values, strict=True) if isinstance(a, Var)}
    return call(_closed({}, list(given), equation.outvars, [equation]), list(given.values()))


def _closed(
    constants: Mapping[Var, Any],
    inputs: Sequence[Var],
    outputs: Sequence[Atom],
    equations: Sequence[JaxprEqn],
    effects: Any = frozenset(),
) -> ClosedJaxpr:
    names = {"arg_names": ("",) * len(inputs), "result_paths": ("",) * len(outputs)}
    about = DebugInfo(traced_for="gru_jax.scan", func_src_info="part of a step", **names)
    jaxpr = Jaxpr([*constants], inputs, outputs, equations, effects, debug_info=about)
    return ClosedJaxpr(jaxpr, [*constants.values()])


def _evaluate(
    jaxpr: Jaxpr, constants: Sequence[Any], values: Sequence[Any], fixed: Sequence[bool]
) -> tuple[list[Any], list[bool]]:
    """Evaluates a jaxpr; enters the functions that it calls, and rewrites products, see `_product`.

    Args:
      fixed: flags on `values`.

    Returns:
      The outputs, and flags that say which of them depend on fixed values alone.
    """
    found: dict[Any, tuple[Any, bool]] = {}
    found |= {v: (value, True) for v, value in zip(jaxpr.constvars, constants, strict=True)}
    found |= dict(zip(jaxpr.invars, zip(values, fixed, strict=True), strict=True))
    read = lambda atom: (atom.val, True) if isinstance(atom, Literal) else found[atom]
    for equation in jaxpr.eqns:
        given, flags = (
            zip(*map(read, equation.invars), strict=True) if equation.invars else ((), ())
        )
        inner = _called(equation)
        if inner is not None:
            outs, out_flags = _evaluate(inner.jaxpr, inner.consts, given, flags)
        else:
            form = _product if equation.primitive is lax.dot_general_p else _as_it_is
            outs, out_flags = form(equation, given, flags), [all(flags)] * len(equation.outvars)
        found.update(zip(equation.outvars, zip(outs, out_flags, strict=True), strict=True))
    outputs, flags = zip(*map(read, jaxpr.outvars), strict=True) if jaxpr.outvars else ((), ())
    return list(outputs), list(flags)


def _called(equation: JaxprEqn) -> ClosedJaxpr | None:
    if equation.primitive.name not in CALLS:
        return None
    inner = equation.params.get("jaxpr") or equation.params["call_jaxpr"]
    return inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())


def _as_it_is(equation: JaxprEqn, values: Sequence[Any], fixed: Sequence[bool]) -> list[Any]:
    del fixed
    return bind(equation, values)


def _product(equation: JaxprEqn, values: Sequence[Any], fixed: Sequence[bool]) -> list[Any]:
    """A matrix product, in the form (..., K) times (K, N) if exactly one operand is fixed.

    The fixed matrix is transposed if necessary: once, outside of the loop.
    """
    (lhs_dims, rhs_dims), batch = equation.params["dimension_numbers"]
    place = 1 if fixed[1] else 0
    other, matrix = values[1 - place], values[place]
    dims, matrix_dims = (lhs_dims, rhs_dims) if place else (rhs_dims, lhs_dims)
    if fixed[0] == fixed[1] or batch[0] or len(dims) != 1 or jnp.ndim(matrix) != 2:
        return bind(equation, values)
    matrix = matrix if matrix_dims[0] == 0 else lax.transpose(matrix, (1, 0))
    other = jnp.moveaxis(other, dims[0], -1)
    params = {**equation.params, "dimension_numbers": (((other.ndim - 1,), (0,)), ((), ()))}
    found = lax.dot_general_p.bind(other, matrix, **params)
    return [found if place else jnp.moveaxis(found, -1, 0)]


def over_time(equation: JaxprEqn, found: dict[Var, Array], stacked: set[Var]) -> Arrays:
    """The results of an equation for several steps.

    Args:
      found: the values of the variables.
      stacked: the variables whose values have a leading axis of time.
    """
    values = [value_of(atom, found) for atom in equation.invars]
    axes = [0 if isinstance(atom, Var) and atom in stacked else None for atom in equation.invars]
    if 0 not in axes:
        return bind(equation, values)
    if is_product(equation) and axes == [0, None] and values[0].ndim == 3:
        # One product with a row for each step and example; as a batch, it would copy its operands.
        time, batch, features = values[0].shape
        (rows,) = bind(equation, [values[0].reshape(time * batch, features), values[1]])
        return [rows.reshape(time, batch, rows.shape[-1])]
    return jax.vmap(lambda *each: bind(equation, each), axes)(*values)


def is_product(equation: JaxprEqn) -> bool:
    """Whether this is a matrix product of the form (..., K) times (K, N)."""
    if equation.primitive is not lax.dot_general_p:
        return False
    left, right = map(type_of, equation.invars)
    expected = (((left.ndim - 1,), (0,)), ((), ()))
    found = jax.tree.map(int, equation.params["dimension_numbers"])
    return right.ndim == 2 and found == expected


@jax.custom_jvp
def marked(value: Array, probe: Array) -> Array:
    """The value, unchanged. The gradient with respect to `probe` is that of the result."""
    del probe
    return value


marked.defjvp(lambda primals, tangents: (primals[0], tangents[0] + tangents[1]))
