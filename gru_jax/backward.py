"""A step's derivative, and where each part of it is computed.

A step is traced once, as equations, and its derivative with it. Every equation then belongs to one
of these places:

    fixed   depends on constants alone: computed once, before the loop
    ahead   a product of the inputs with something fixed: for all steps of a segment at once
    step    the rest of the step: in the loop
    back    what carries the gradient from a step to the one before: in the loop backwards
    late    the gradients of constants and inputs: for all steps of a segment at once

`late` is made possible by probes. Wherever a constant w enters the loop, in an equation
out = f(a, w), the loop backwards hands on the gradient of `out`, and

    dw = sum_t (df/dw)^T dout_t

is computed after it, for a matrix as one product. What `back` and `late` read of the step is either
kept or computed again, whichever costs less: see `least_kept`.
"""

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, JaxprEqn, Var
from scipy.sparse import csgraph, csr_array

from gru_jax.axes import Array
from gru_jax.jaxprs import Program, bind, call, trace, type_of, value_of, variables

Arrays = list[Array]
# What computing one number again costs, in bytes that might have been kept instead: an element-wise
# equation is fused with those that read it. What is not named here is never computed again.
CHEAP = (
    "abs add and broadcast_in_dim clamp concatenate convert_element_type copy eq ge gt imag "
    "integer_pow le lt max min mul ne neg not or pvary real reshape select_n sign slice split "
    "square squeeze stop_gradient sub xor"
)
COSTLY = "cos div erf exp expm1 log log1p logistic rsqrt sin sqrt tanh"
AGAIN = dict.fromkeys(CHEAP.split(), 0.25) | dict.fromkeys(COSTLY.split(), 3.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """The body of a `lax.scan`: constants, carry and inputs -> carry and outputs."""

    jaxpr: ClosedJaxpr
    constants: int
    carry: int

    def __call__(self, constants: Arrays, carry: Arrays, inputs: Arrays) -> Arrays:
        return call(self.jaxpr, [*constants, *carry, *inputs])

    def arguments(self, values: Sequence[Any]) -> tuple[list[Any], ...]:
        """Of everything that a body is given: constants, carry, inputs."""
        return divided(values, self.constants, self.carry)

    @property
    def types(self) -> tuple[list[Any], ...]:
        return self.arguments(self.jaxpr.in_avals)


@jax.custom_jvp
def marked(value: Array, probe: Array) -> Array:
    """The value; the gradient of the probe is the value's."""
    del probe
    return value


marked.defjvp(lambda primals, tangents: (primals[0], tangents[0] + tangents[1]))


@jax.tree_util.register_static
class Derivative:
    """The derivative of a body with respect to its carry and to what is wanted of the rest.

    Its methods are the parts that the loops of `bptt` are made of. What they are given and return
    are lists of arrays:

      border: what of the constants enters the loop.
      fixed: all that is the same at every step of both loops.
      kept: of each step, what `back` and `late` read.
      slopes: gradients, of arrays that have one.
      emitted: slopes that `late` needs of each step.
    """

    def __init__(self, body: Body, constants: Sequence[bool], inputs: Sequence[bool]):
        self.step = step = trace(body, *body.types, fixed=1)
        self.constants, self.carry, self.inputs = body.arguments(step.inputs)
        varying = _varying(step, [*self.carry, *self.inputs])
        self.wanted = [
            yes and has_slope(v) for v, yes in zip(self.constants, constants, strict=True)
        ]
        self.moved = [yes and has_slope(v) for v, yes in zip(self.inputs, inputs, strict=True)]
        self.border, self.entering = _border(step, varying)
        learned = step.after(chosen(self.constants, self.wanted)) - varying
        learned = {v for v in learned if has_slope(v)}
        self.learned = [v in learned for v in self.border]

        self.products = _products(step, varying, varying - step.after(self.carry))
        self.loop = step.before(
            [*self.border, *self.carry, *self.inputs, *self.products], step.outputs
        )
        self.probed = [
            e
            for e in self.loop
            if not (varying.isdisjoint(e.outvars) or learned.isdisjoint(variables(e.invars)))
        ]
        # A constant that is an output of the step is probed there.
        self.shown = [v for v in variables(step.outputs) if v in learned]
        self.probes = [v for e in self.probed for v in e.outvars if has_slope(v)] + self.shown
        read = dict.fromkeys(v for e in self.probed for v in variables(e.invars))
        self.operands = [v for v in read if v in varying]
        self.moving = [
            *filter(has_slope, self.carry),
            *self.products,
            *chosen(self.inputs, self.moved),
        ]
        self.slopes = [type_of(atom) for atom in step.outputs if has_slope(atom)]
        self._divide()

    def _divide(self) -> None:
        """Decides what is kept of a step, and cuts the step and its derivative in two there."""
        groups = [self.border, self.carry, self.products, self.inputs]
        types = [[type_of(variable) for variable in group] for group in groups]
        joint = trace(self._joint, *types, self.slopes, fixed=1)
        border, carry, products, inputs, slopes = divided(joint.inputs, *map(len, groups))
        outputs, operands, self.d_carry, self.d_rest = divided(
            joint.outputs,
            len(self.step.outputs),
            len(self.operands),
            sum(map(has_slope, self.carry)),
        )
        after, seen = divided(outputs, len(carry))
        varying = _varying(joint, [*carry, *products, *inputs, *slopes])
        fixed = _entering(joint, varying)
        backwards = joint.after(slopes)
        self.emitted = [v for v in dict.fromkeys(variables(self.d_rest)) if v in backwards]
        self.needed = self._needed()
        operands = chosen(operands, self.needed)

        results = [*self.d_carry, *self.emitted]
        steps_back = [
            e for e in joint.before(joint.inputs, results) if not backwards.isdisjoint(e.outvars)
        ]
        read = [v for e in steps_back for v in variables(e.invars)] + variables(operands)
        free, shown = {*fixed, *inputs}, variables(seen)
        required = [v for v in dict.fromkeys(read) if v in varying - backwards - free]
        kept = least_kept(joint, free, required, set(shown))
        # A carry is the one after the step before: of such a pair, one is stored.
        ends = dict(zip(carry, after, strict=True))
        shifted = [v for v in kept if ends.get(v) in kept and ends[v] not in carry]
        self.from_outputs = [seen.index(v) for v in kept if v in shown]
        new = [v for v in kept if v not in shown and v not in shifted]
        stored = [*(seen[place] for place in self.from_outputs), *new]
        self.shifted = [(carry.index(v), stored.index(ends[v])) for v in shifted]
        available = [*fixed, *stored, *shifted, *inputs]
        self.prepare_part = joint.part(border, fixed)
        self.step_part = joint.part([*fixed, *carry, *products, *inputs], [*outputs, *new])
        self.back_part = joint.part([*available, *slopes], results)
        self.operand_part = joint.part(available, operands)

    def fix(self, constants: Arrays) -> Arrays:
        """The border."""
        return self.step.part(self.constants, self.border)(*constants)

    def prepare(self, border: Arrays) -> Arrays:
        """All that is fixed."""
        return self.prepare_part(*border)

    def ahead(self, border: Arrays, inputs: Arrays) -> Arrays:
        """The products of the inputs of several steps."""
        names, found = [*self.entering, *self.inputs], self._entered(border)
        found |= dict(zip(self.inputs, inputs, strict=True))
        stacked = set(self.inputs)
        for equation in self.step.before(names, self.products):
            found.update(zip(equation.outvars, over_time(equation, found, stacked), strict=True))
            if not stacked.isdisjoint(variables(equation.invars)):
                stacked.update(equation.outvars)
        return [found[v] for v in self.products]

    def forward(
        self, fixed: Arrays, carry: Arrays, products: Arrays, inputs: Arrays
    ) -> tuple[Arrays, Arrays, Arrays]:
        """One step: the carry after it, its outputs, and what is kept beside these."""
        found = self.step_part(*fixed, *carry, *products, *inputs)
        carry, outputs, kept = divided(found, len(carry), len(self.step.outputs) - len(carry))
        return carry, outputs, kept

    def stored(self, start: Arrays, outputs: Arrays, new: Arrays) -> tuple[Arrays, Arrays, Arrays]:
        """What of a segment is stored: of the carry before it, of its outputs, and the rest."""
        starts = [start[carry] for carry, _ in self.shifted]
        return starts, [outputs[place] for place in self.from_outputs], new

    def kept(self, starts: Arrays, outputs: Arrays, new: Arrays, reverse: bool) -> Arrays:
        """All that is kept of a segment's steps, from what was stored."""
        stored = [*outputs, *new]
        ends = [
            (start[None], stored[at]) for start, (_, at) in zip(starts, self.shifted, strict=True)
        ]
        before = [
            jnp.concatenate([after[1:], start] if reverse else [start, after[:-1]])
            for start, after in ends
        ]
        return [*stored, *before]

    def back(
        self, fixed: Arrays, kept: Arrays, inputs: Arrays, slopes: Arrays
    ) -> tuple[Arrays, Arrays]:
        """From the slopes of a step's carry and outputs to those of the carry before it."""
        d_carry, emitted = divided(
            self.back_part(*fixed, *kept, *inputs, *slopes), len(self.d_carry)
        )
        return d_carry, emitted

    def late(
        self,
        length: int,
        border: Arrays,
        fixed: Arrays,
        inputs: Arrays,
        kept: Arrays,
        emitted: Arrays,
    ) -> tuple[Arrays, Arrays]:
        """The slopes of what is learned of the border and wanted of several steps' inputs."""
        operands = [blank(type_of(v), length) for v in self.operands]
        if any(self.needed):
            part = jax.vmap(lambda *each: self.operand_part(*fixed, *each))
            operands = replaced(operands, self.needed, part(*kept, *inputs))
        found = dict(zip(self.emitted, emitted, strict=True))
        slopes = [found[v] if v in self.emitted else blank(type_of(v), length) for v in self.d_rest]
        of_products, direct, of_probes = divided(slopes, len(self.products), sum(self.moved))
        d_border, d_inputs = self._late(length, border, inputs, operands, of_products + of_probes)
        return d_border, [a + b for a, b in zip(d_inputs, direct, strict=True)]

    def of_constants(self, constants: Arrays, d_border: Arrays) -> Arrays:
        """The slopes of the constants that are wanted, from those of the border."""
        run = lambda some: chosen(self.fix(replaced(constants, self.wanted, some)), self.learned)
        return jax.vjp(run, chosen(constants, self.wanted))[1](d_border)[0]

    def _joint(
        self, border: Arrays, carry: Arrays, products: Arrays, inputs: Arrays, slopes: Arrays
    ) -> Any:
        """A step and its derivative: outputs, operands, slopes of what moves and of the probes."""
        names = [*self.border, *self.carry, *self.products, *self.inputs]
        values = [*border, *carry, *products, *inputs]
        given = self.step.constants | dict(zip(names, values, strict=True))

        def run(moving, probes):
            found, probe = given | dict(zip(self.moving, moving, strict=True)), iter(probes)
            mark = lambda name, value: marked(value, next(probe)) if has_slope(name) else value
            for equation in self.loop:
                outs = bind(equation, [value_of(atom, found) for atom in equation.invars])
                if equation in self.probed:
                    outs = list(map(mark, equation.outvars, outs))
                found.update(zip(equation.outvars, outs, strict=True))
            outputs = [
                mark(atom, found[atom])
                if atom in self.shown
                else jnp.asarray(value_of(atom, found))
                for atom in self.step.outputs
            ]
            sloped = chosen(outputs, map(has_slope, self.step.outputs))
            return sloped, (outputs, [found[v] for v in self.operands])

        zeros = [blank(type_of(v)) for v in self.probes]
        _, pull, found = jax.vjp(run, [given[v] for v in self.moving], zeros, has_aux=True)
        return *found, pull(slopes)

    def _entered(self, border: Arrays) -> dict[Var, Array]:
        entered = self.step.part(self.border, self.entering)(*border)
        return self.step.constants | dict(zip(self.entering, entered, strict=True))

    def _late(
        self, length: int, border: Arrays, inputs: Arrays, operands: Arrays, slopes: Arrays
    ) -> tuple[Arrays, Arrays]:
        """The same as `late`, of the operands and of the slopes of all products and probes."""

        def run(some_border, some_inputs):
            whole_border = replaced(border, self.learned, some_border)
            products = self.ahead(whole_border, replaced(inputs, self.moved, some_inputs))
            named = dict(zip(self.operands, operands, strict=True))
            found = self._entered(whole_border) | named
            probed = []
            for equation in self.probed:
                outs = over_time(equation, found, set(named))
                probed += chosen(outs, map(has_slope, equation.outvars))
            probed += [found[v] for v in self.shown]
            names = [*self.products, *self.probes]
            return [
                jnp.broadcast_to(value, (length, *type_of(name).shape))
                for name, value in zip(names, products + probed, strict=True)
            ]

        at = chosen(border, self.learned), chosen(inputs, self.moved)
        return jax.vjp(run, *at)[1](slopes)

    def _needed(self) -> list[bool]:
        """Which operands `late` reads: those of a product, but not those of a sum."""
        groups = [self.border, self.inputs, self.operands, [*self.products, *self.probes]]
        one = lambda values: [value[None] for value in values]
        late = trace(
            lambda border, *rest: self._late(1, border, *map(one, rest)),
            *([type_of(v) for v in group] for group in groups),
        )
        _, _, operands, _ = divided(late.inputs, *map(len, groups[:-1]))
        used = {v for e in late.before(late.inputs, late.outputs) for v in variables(e.invars)}
        return [v in used for v in operands]


def least_kept(
    program: Program, free: set[Var], required: Sequence[Var], shown: set[Var]
) -> list[Var]:
    """What to keep so that all that is required can be computed, at the least cost.

    Keeping a variable costs its bytes. Computing it again costs what `AGAIN` says of its equation,
    and requires the variables that this reads. The least sum is a minimum cut: from the source an
    endless flow enters what is required; a variable passes on as much as it costs to keep, to its
    equation, which drains as much as it costs again and passes on to what it reads.

    Args:
      free: variables that are there in any case.
      shown: those that are kept in any case.
    """
    if not required:
        return []
    equations = program.before(free, required)
    makers = {v: e for e in equations for v in e.outvars}
    read = [v for e in equations for v in variables(e.invars)]
    names = [v for v in dict.fromkeys([*required, *makers, *read]) if v not in free]
    weight = {v: type_of(v).size * type_of(v).dtype.itemsize for v in names}
    unit = 2**-12 * max(weight.values(), default=1)
    whole = lambda cost: 1 + int(cost / unit)
    source, sink, endless = 0, 1, 2**30
    place = {v: 2 * order for order, v in enumerate(names, 1)}
    edges = {(source, place[v]): endless for v in required}
    for v in names:
        edges[place[v], place[v] + 1] = 1 if v in shown else whole(weight[v])
        again = AGAIN.get(makers[v].primitive.name) if v in makers else None
        if again is None:
            edges[place[v] + 1, sink] = endless
        else:
            edges[place[v] + 1, sink] = whole(again * type_of(v).size)
            inputs = [u for u in variables(makers[v].invars) if u not in free]
            edges |= {(place[v] + 1, place[u]): endless for u in inputs}
    size = 2 + 2 * len(names)
    costs = np.array(list(edges.values()), np.int32)
    network = csr_array((costs, tuple(np.array(list(edges)).T)), (size, size))
    rest = network - csgraph.maximum_flow(network, source, sink).flow
    rest.data = np.maximum(rest.data, 0)
    rest.eliminate_zeros()
    reached = set(csgraph.breadth_first_order(rest, source, return_predecessors=False).tolist())
    return [v for v in names if place[v] in reached and place[v] + 1 not in reached]


def over_time(equation: JaxprEqn, found: dict[Var, Array], stacked: set[Var]) -> Arrays:
    """What an equation gives for several steps: `stacked` variables have a leading axis of time."""
    values = [value_of(atom, found) for atom in equation.invars]
    axes = [0 if isinstance(atom, Var) and atom in stacked else None for atom in equation.invars]
    if 0 not in axes:
        return bind(equation, values)
    if _is_product(equation) and axes == [0, None] and values[0].ndim == 3:
        # As rows of one matrix: a product over two axes would copy its operands.
        (rows,) = bind(equation, [values[0].reshape(-1, values[0].shape[-1]), values[1]])
        return [rows.reshape(*values[0].shape[:-1], -1)]
    return jax.vmap(lambda *each: bind(equation, each), axes)(*values)


def _is_product(equation: JaxprEqn) -> bool:
    """Whether this is (..., K) times (K, N)."""
    if equation.primitive is not lax.dot_general_p:
        return False
    left, right = map(type_of, equation.invars)
    expected = (((left.ndim - 1,), (0,)), ((), ()))
    found = jax.tree.map(int, equation.params["dimension_numbers"])
    return right.ndim == 2 and found == expected


def _products(program: Program, varying: set[Var], early: set[Var]) -> list[Var]:
    """Products with something fixed, of what does not depend on the carry."""
    return [
        e.outvars[0]
        for e in program.equations
        if e.primitive is lax.dot_general_p
        and e.outvars[0] in early
        and has_slope(e.outvars[0])
        and not varying.issuperset(variables(e.invars))
    ]


def _varying(program: Program, sources: Sequence[Var]) -> set[Var]:
    """What depends on the sources; and what is fixed, but only spread out for it in the loop."""
    found = program.after(sources)
    fixed = [e for e in program.equations if found.isdisjoint(e.outvars)]
    read = {*variables(program.outputs), *(v for e in fixed for v in variables(e.invars))}
    spread = [e.outvars[0] for e in fixed if e.primitive is lax.broadcast_in_dim_p]
    return found | set(spread) - read


def _entering(program: Program, varying: set[Var]) -> list[Var]:
    """The fixed variables that varying equations read, or that are outputs."""
    read = [v for e in program.equations if not varying.isdisjoint(e.outvars) for v in e.invars]
    entering = dict.fromkeys(variables([*read, *program.outputs]))
    return [v for v in entering if v not in varying and v not in program.constants]


def _border(program: Program, varying: set[Var]) -> tuple[list[Var], list[Var]]:
    """The fixed variables that enter the loop, before and after a conversion of their precision.

    Gradients add up before it: several segments' in bfloat16 would lose what is small.
    """
    entering = _entering(program, varying)
    makers = {e.outvars[0]: e for e in program.equations if e.outvars}
    border = []
    for variable in entering:
        found: Any = variable
        while found in makers and makers[found].primitive is lax.convert_element_type_p:
            (found,) = makers[found].invars
        border.append(found)
    return list(dict.fromkeys(variables(border))), entering


def has_slope(atom: Any) -> bool:
    """Whether a variable, or an array, is of real or complex numbers."""
    return jnp.issubdtype(getattr(atom, "aval", atom).dtype, jnp.inexact)


def blank(type: Any, *axes: int) -> Array:
    """Zeros of a type, with more axes before its own."""
    zeros = jnp.zeros((*axes, *type.shape), type.dtype)
    # The axes of a shard_map over which it varies: JAX has changed the name.
    varying = getattr(getattr(type, "manual_axis_type", type), "varying", getattr(type, "vma", ()))
    return lax.pcast(zeros, tuple(varying), to="varying") if varying else zeros


def divided(values: Sequence[Any], *sizes: int) -> tuple[list[Any], ...]:
    """The values in lists of these sizes, and the rest."""
    ends = [0, *np.cumsum(sizes).tolist(), len(values)]
    return tuple(list(values[a:b]) for a, b in itertools.pairwise(ends))


def chosen(values: Sequence[Any], flags: Any) -> list[Any]:
    """The values that have a flag."""
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def replaced(values: Sequence[Any], flags: Sequence[bool], others: Sequence[Any]) -> list[Any]:
    """The values, those with a flag by the others in turn."""
    rest = iter(others)
    return [next(rest) if flag else value for value, flag in zip(values, flags, strict=True)]
