"""The derivative of a scan's body, and where each part of it is computed.

The body is traced once, as equations, and its derivative with it. Every equation then belongs to
one of these places:

    fixed   depends on constants alone: computed once, before the loops
    ahead   a product of the inputs with something fixed: for all steps of a segment at once
    step    the rest of the body: in the loop forwards
    back    what carries the gradient from a step to the one before: in the loop backwards
    late    the gradients of constants and inputs: for all steps of a segment at once

`late` is made possible by probes. Wherever a constant w enters the loop, in an equation
out = f(a, w), the loop backwards hands on the gradient of `out`, and

    dw = sum_t (df/dw)^T dout_t

is computed after it; where f is a matrix product, this sum is one product as well. What `back` and
`late` read of a step is either kept or computed again, whichever costs less: see `least_kept`.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gru_jax.axes import Array
from gru_jax.bptt.jaxprs import (
    Arrays,
    ClosedJaxpr,
    Var,
    bind,
    blank,
    call,
    differentiable,
    marked,
    over_time,
    trace,
    type_of,
    value_of,
    variables,
)
from gru_jax.bptt.lists import chosen, divided, replaced
from gru_jax.bptt.recomputation import least_kept


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """The body of a `lax.scan`: constants, carry and inputs -> carry and outputs."""

    jaxpr: ClosedJaxpr
    constants: int
    carry: int
    derivatives: dict[Any, "Derivative"] = dataclasses.field(default_factory=dict)

    def __call__(self, constants: Arrays, carry: Arrays, inputs: Arrays) -> Arrays:
        return call(self.jaxpr, [*constants, *carry, *inputs])

    def arguments(self, values: Sequence[Any]) -> tuple[list[Any], ...]:
        """Constants, carry and inputs, out of all that a body is given."""
        return divided(values, self.constants, self.carry)


def derivative(body: Body, constants: tuple[bool, ...], inputs: tuple[bool, ...]) -> "Derivative":
    """The derivative for these flags, found once: a scan may have two parts of one body."""
    if (constants, inputs) not in body.derivatives:
        body.derivatives[constants, inputs] = Derivative(body, constants, inputs)
    return body.derivatives[constants, inputs]


@jax.tree_util.register_static
class Derivative:
    """The derivative of a body with respect to its carry, and to some constants and inputs.

    Its methods are the parts that the loops are made of, functions of lists of arrays:

      border: what enters the loops of the constants, before conversions of its precision.
      fixed: all that is the same at every step of both loops.
      products: what is computed ahead.
      kept: what `back` and `late` read of each step.
      emitted: the gradients that `back` computes of each step for `late`.

    Args:
      constants, inputs: flags, for which of them a gradient is wanted.
    """

    def __init__(self, body: Body, constants: Iterable[bool], inputs: Iterable[bool]):
        self.step = step = trace(body, *body.arguments(body.jaxpr.in_avals), fixed=1)
        self.constants, self.carry, self.inputs = body.arguments(step.inputs)
        flags = lambda names, given: [
            yes and differentiable(v) for v, yes in zip(names, given, strict=True)
        ]
        self.wanted_constants = flags(self.constants, constants)
        self.wanted_inputs = flags(self.inputs, inputs)
        varying = step.varying([*self.carry, *self.inputs])
        self.entering = step.entering(varying)
        self.border = step.unconverted(self.entering)
        learned = step.after(chosen(self.constants, self.wanted_constants)) - varying
        learned = set(filter(differentiable, learned))
        self.learned = [v in learned for v in self.border]

        early = varying - step.after(self.carry)
        self.products = [
            e.outvars[0]
            for e in step.equations
            if e.primitive is lax.dot_general_p
            and e.outvars[0] in early
            and differentiable(e.outvars[0])
            and not varying.issuperset(variables(e.invars))
        ]
        names = [*self.border, *self.carry, *self.inputs, *self.products]
        self.loop = step.before(names, step.outputs)
        self.probed = [
            e
            for e in self.loop
            if not (varying.isdisjoint(e.outvars) or learned.isdisjoint(variables(e.invars)))
        ]
        # A constant that is an output of the body is probed there.
        self.constant_outputs = [v for v in variables(step.outputs) if v in learned]
        outs = [v for e in self.probed for v in e.outvars]
        self.probes = [*filter(differentiable, outs), *self.constant_outputs]
        read = dict.fromkeys(v for e in self.probed for v in variables(e.invars))
        self.operands = [v for v in read if v in varying]
        self.carried = list(filter(differentiable, self.carry))
        self.moved = chosen(self.inputs, self.wanted_inputs)
        self.cotangents = [type_of(a) for a in step.outputs if differentiable(a)]
        self._divide()

    def _divide(self) -> None:
        """Decides what is kept of a step, and so which part of the equations is where."""
        groups = [self.border, self.carry, self.products, self.inputs]
        types = [list(map(type_of, group)) for group in groups]
        joint = trace(self._joint, *types, self.cotangents, fixed=1)
        border, carry, products, inputs, cotangents = divided(joint.inputs, *map(len, groups))
        outputs, operands, self.d_carried, self.d_rest = divided(
            joint.outputs, len(self.step.outputs), len(self.operands), len(self.carried)
        )
        after, outputs_only = divided(outputs, len(carry))
        varying = joint.varying([*carry, *products, *inputs, *cotangents])
        fixed = joint.entering(varying)
        backwards = joint.after(cotangents)
        self.emitted = [v for v in dict.fromkeys(variables(self.d_rest)) if v in backwards]
        self.needed = self._needed_operands()
        operands = chosen(operands, self.needed)

        results = [*self.d_carried, *self.emitted]
        equations = joint.before(joint.inputs, results)
        read = [a for e in equations if not backwards.isdisjoint(e.outvars) for a in e.invars]
        free, shown = {*fixed, *inputs}, variables(outputs_only)
        read = list(dict.fromkeys(variables([*read, *operands])))
        required = [v for v in read if v in varying - backwards - free]
        kept = least_kept(joint, free, required, set(shown))
        # A carry is the one after the step before: of such a pair one is stored.
        ends = dict(zip(carry, after, strict=True))
        shifted = [v for v in kept if ends.get(v) in kept and ends[v] not in carry]
        self.stored_outputs = [outputs_only.index(v) for v in kept if v in shown]
        new = [v for v in kept if v not in shown and v not in shifted]
        stored = [*(outputs_only[place] for place in self.stored_outputs), *new]
        self.shifted = [(carry.index(v), stored.index(ends[v])) for v in shifted]

        known = [*fixed, *stored, *shifted, *inputs]
        self._prepare = joint.part(border, fixed)
        self._step = joint.part([*fixed, *carry, *products, *inputs], [*outputs, *new])
        self._back = joint.part([*known, *cotangents], results)
        self._operands = joint.part(known, operands)

    def fix(self, constants: Arrays) -> Arrays:
        """The border."""
        return self.step.part(self.constants, self.border)(*constants)

    def prepare(self, border: Arrays) -> Arrays:
        """All that is fixed."""
        return self._prepare(*border)

    def ahead(self, border: Arrays, inputs: Arrays) -> Arrays:
        """The products of several steps' inputs."""
        found = self._enter(border) | dict(zip(self.inputs, inputs, strict=True))
        stacked = set(self.inputs)
        for equation in self.step.before([*self.entering, *self.inputs], self.products):
            found.update(zip(equation.outvars, over_time(equation, found, stacked), strict=True))
            if not stacked.isdisjoint(variables(equation.invars)):
                stacked.update(equation.outvars)
        return [found[v] for v in self.products]

    def forward(
        self, fixed: Arrays, carry: Arrays, products: Arrays, inputs: Arrays
    ) -> tuple[Arrays, Arrays, Arrays]:
        """One step: the carry after it, its outputs, and what is to be stored beside these."""
        found = self._step(*fixed, *carry, *products, *inputs)
        carry, outputs, new = divided(found, len(carry), len(self.step.outputs) - len(carry))
        return carry, outputs, new

    def stored(self, start: Arrays, outputs: Arrays, new: Arrays) -> tuple[Arrays, Arrays, Arrays]:
        """What is stored of a segment: of the carry before it, of its outputs, and the rest."""
        starts = [start[place] for place, _ in self.shifted]
        return starts, [outputs[place] for place in self.stored_outputs], new

    def kept(self, starts: Arrays, outputs: Arrays, new: Arrays, reverse: bool) -> Arrays:
        """What is kept of a segment's steps, from what is stored."""
        stored = [*outputs, *new]
        after = [stored[place] for _, place in self.shifted]
        join = lambda start, after: [after[1:], start] if reverse else [start, after[:-1]]
        before = [jnp.concatenate(join(s[None], a)) for s, a in zip(starts, after, strict=True)]
        return [*stored, *before]

    def back(
        self, fixed: Arrays, kept: Arrays, inputs: Arrays, cotangents: Arrays
    ) -> tuple[Arrays, Arrays]:
        """From the gradients of a step's carry and outputs to those of the carry before it."""
        found = self._back(*fixed, *kept, *inputs, *cotangents)
        d_carry, emitted = divided(found, len(self.d_carried))
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
        """Several steps' gradients of what is learned of the border, and of the wanted inputs."""
        operands = [blank(type_of(v), length) for v in self.operands]
        if any(self.needed):
            of_steps = jax.vmap(lambda *each: self._operands(*fixed, *each))
            operands = replaced(operands, self.needed, of_steps(*kept, *inputs))
        found = dict(zip(self.emitted, emitted, strict=True))
        rest = [found[a] if a in self.emitted else blank(type_of(a), length) for a in self.d_rest]
        of_products, direct, of_probes = divided(rest, len(self.products), len(self.moved))
        d_border, d_inputs = self._late(length, border, inputs, operands, of_products + of_probes)
        return d_border, [a + b for a, b in zip(d_inputs, direct, strict=True)]

    def of_constants(self, constants: Arrays, d_border: Arrays) -> Arrays:
        """The gradients of the wanted constants, from those of the border."""
        flags = self.wanted_constants
        run = lambda some: chosen(self.fix(replaced(constants, flags, some)), self.learned)
        return jax.vjp(run, chosen(constants, flags))[1](d_border)[0]

    def _joint(
        self, border: Arrays, carry: Arrays, products: Arrays, inputs: Arrays, cotangents: Arrays
    ) -> Any:
        """A step, the operands of what is probed, and the gradients that are a step's."""
        names = [*self.border, *self.carry, *self.products, *self.inputs]
        values = [*border, *carry, *products, *inputs]
        given = self.step.constants | dict(zip(names, values, strict=True))
        moving = [*self.carried, *self.products, *self.moved]

        def run(values, probes):
            found, probe = given | dict(zip(moving, values, strict=True)), iter(probes)
            mark = lambda name, value: marked(value, next(probe)) if differentiable(name) else value
            for equation in self.loop:
                outs = bind(equation, [value_of(atom, found) for atom in equation.invars])
                if equation in self.probed:
                    outs = list(map(mark, equation.outvars, outs))
                found.update(zip(equation.outvars, outs, strict=True))
            outputs = [
                mark(a, found[a]) if a in self.constant_outputs else jnp.asarray(value_of(a, found))
                for a in self.step.outputs
            ]
            varied = chosen(outputs, map(differentiable, self.step.outputs))
            return varied, (outputs, [found[v] for v in self.operands])

        zeros = [blank(type_of(v)) for v in self.probes]
        _, pull, found = jax.vjp(run, [given[v] for v in moving], zeros, has_aux=True)
        return *found, pull(cotangents)

    def _late(
        self, length: int, border: Arrays, inputs: Arrays, operands: Arrays, cotangents: Arrays
    ) -> tuple[Arrays, Arrays]:
        """`late`, given the operands, and the gradients of all products and probes."""

        def run(some_border, some_inputs):
            whole = replaced(border, self.learned, some_border)
            values = self.ahead(whole, replaced(inputs, self.wanted_inputs, some_inputs))
            found = self._enter(whole) | dict(zip(self.operands, operands, strict=True))
            for equation in self.probed:
                outs = over_time(equation, found, set(self.operands))
                values += chosen(outs, map(differentiable, equation.outvars))
            values += [found[v] for v in self.constant_outputs]
            names = [*self.products, *self.probes]
            return [
                jnp.broadcast_to(value, (length, *type_of(name).shape))
                for name, value in zip(names, values, strict=True)
            ]

        at = chosen(border, self.learned), chosen(inputs, self.wanted_inputs)
        return jax.vjp(run, *at)[1](cotangents)

    def _enter(self, border: Arrays) -> dict[Var, Array]:
        """What the loops read of the constants, by name."""
        entering = self.step.part(self.border, self.entering)(*border)
        return self.step.constants | dict(zip(self.entering, entering, strict=True))

    def _needed_operands(self) -> list[bool]:
        """Which operands `late` reads: those of a product, but not those of a sum."""
        groups = [self.border, self.inputs, self.operands, [*self.products, *self.probes]]
        one_step = lambda values: [value[None] for value in values]
        late = trace(
            lambda border, *rest: self._late(1, border, *map(one_step, rest)),
            *(list(map(type_of, group)) for group in groups),
        )
        _, _, operands, _ = divided(late.inputs, *map(len, groups[:-1]))
        used = {v for e in late.before(late.inputs, late.outputs) for v in variables(e.invars)}
        return [v in used for v in operands]
