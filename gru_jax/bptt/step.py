"""The equations of a scan's step, sorted by how often they have to be computed.

    fixed     depends on the constants alone: computed once, before the loop
    product   a matrix product of the inputs with something fixed: computed ahead of the loop, for
              all steps of a segment at once
    loop      everything else: computed step by step

The gradients of weights and biases need not be computed step by step either. A constant w enters
the loop in some equation out_t = f(a_t, w), and its gradient is a sum over time:

    dw = sum_t (df/dw)^T dout_t

It can be computed after the loop, from the operands a_t and the gradients dout_t of all steps
together. If f is a matrix product, then the whole sum is a single product as well. To make the
derivative of a step return dout_t, a probe is attached to every such `out`, see `jaxprs.marked`:
an extra argument whose gradient is that of `out`.
"""

import dataclasses
import functools
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


@dataclasses.dataclass(frozen=True, eq=False)
class Body:
    """The body of a `lax.scan` as a jaxpr: constants, carry and inputs -> carry and outputs.

    jaxpr: takes and returns one flat list of arrays.
    constants, carry: how many of its arguments these are; the inputs follow them.
    derivatives: those built so far, see `derivative.derivative`.
    """

    jaxpr: ClosedJaxpr
    constants: int
    carry: int
    derivatives: dict[Any, Any] = dataclasses.field(default_factory=dict)

    def __call__(self, constants: Arrays, carry: Arrays, inputs: Arrays) -> Arrays:
        return call(self.jaxpr, [*constants, *carry, *inputs])

    @functools.cached_property
    def sorted(self) -> "Step":
        """Its equations, where no gradient is wanted."""
        count = len(self.jaxpr.in_avals) - self.constants - self.carry
        return Step(self, [False] * self.constants, [False] * count)

    def arguments(self, values: Sequence[Any]) -> tuple[list[Any], ...]:
        """Divides a flat list of arguments into constants, carry and inputs."""
        return divided(values, self.constants, self.carry)


class Step:
    """The sorted equations of a step, and the parts of its derivative that need no loop.

    Args:
      body: the step.
      constants, inputs: flags that say for which of them a gradient is wanted.

    Its attributes are lists of variables, unless noted otherwise:

      program: the step's equations, a `Program`.
      constants, carry, inputs: the step's arguments.
      wanted_constants, wanted_inputs: flags: for which of them a gradient is wanted and exists.
      entering: the fixed variables that the loop reads.
      border: the variables from which `entering` is computed by conversions of precision alone.
      learned: flags: for which variables of the border a gradient is wanted.
      products: the results of the matrix products that are computed ahead, or the parts into
        which they are divided.
      loop: the equations of the loop.
      probed: the equations of the loop that read variables whose gradient is wanted.
      probes: the variables with a probe; their gradients at all steps determine the border's.
      operands: the variables that probed equations read and that differ from step to step.
      carried: the differentiable variables of the carry.
      moved: the inputs for which a gradient is wanted.
      cotangents: the types of the gradients of carry and outputs.
    """

    def __init__(self, body: Body, constants: Iterable[bool], inputs: Iterable[bool]):
        program = trace(body, *body.arguments(body.jaxpr.in_avals), fixed=1)
        self.program = program
        self.constants, self.carry, self.inputs = body.arguments(program.inputs)
        flags = lambda names, given: [
            yes and differentiable(v) for v, yes in zip(names, given, strict=True)
        ]
        self.wanted_constants = flags(self.constants, constants)
        self.wanted_inputs = flags(self.inputs, inputs)
        varying = program.varying([*self.carry, *self.inputs])
        self.entering = program.entering(varying)
        self.border = program.unconverted(self.entering)
        learned = program.after(chosen(self.constants, self.wanted_constants)) - varying
        learned = set(filter(differentiable, learned))
        self.learned = [v in learned for v in self.border]

        early = varying - program.after(self.carry)
        products = [
            e.outvars[0]
            for e in program.equations
            if e.primitive is lax.dot_general_p
            and e.outvars[0] in early
            and differentiable(e.outvars[0])
            and not varying.issuperset(variables(e.invars))
        ]
        self.products = [part for product in products for part in program.divided(product)]
        names = [*self.border, *self.carry, *self.inputs, *self.products]
        self.loop = program.before(names, program.outputs)
        names[: len(self.border)] = self.entering
        self._forward = program.part(names, program.outputs)
        self.probed = [
            e
            for e in self.loop
            if not (varying.isdisjoint(e.outvars) or learned.isdisjoint(variables(e.invars)))
        ]
        # The body may return a constant unchanged: no equation reads it, so the output is probed.
        self._constant_outputs = [v for v in variables(program.outputs) if v in learned]
        outs = [v for e in self.probed for v in e.outvars]
        self.probes = [*filter(differentiable, outs), *self._constant_outputs]
        read = dict.fromkeys(v for e in self.probed for v in variables(e.invars))
        self.operands = [v for v in read if v in varying]
        self.carried = list(filter(differentiable, self.carry))
        self.moved = chosen(self.inputs, self.wanted_inputs)
        self.cotangents = [type_of(a) for a in program.outputs if differentiable(a)]

    def fix(self, constants: Arrays) -> Arrays:
        """The values of the border."""
        return self.program.part(self.constants, self.border)(*constants)

    def enter(self, border: Arrays) -> Arrays:
        """The values of what enters the loop."""
        return self.program.part(self.border, self.entering)(*border)

    def forward(self, entering: Arrays, carry: Arrays, products: Arrays, inputs: Arrays) -> Arrays:
        """One step: the carry after it, and its outputs."""
        return self._forward(*entering, *carry, *inputs, *products)

    def ahead(self, border: Arrays, inputs: Arrays) -> Arrays:
        """The products for several steps, whose inputs are stacked along a leading axis."""
        found = self._known(border) | dict(zip(self.inputs, inputs, strict=True))
        stacked = set(self.inputs)
        for equation in self.program.before([*self.entering, *self.inputs], self.products):
            found.update(zip(equation.outvars, over_time(equation, found, stacked), strict=True))
            if not stacked.isdisjoint(variables(equation.invars)):
                stacked.update(equation.outvars)
        return [found[v] for v in self.products]

    def with_gradients(
        self, border: Arrays, carry: Arrays, products: Arrays, inputs: Arrays, cotangents: Arrays
    ) -> Any:
        """One step forwards and backwards, for tracing.

        Returns:
          The step's outputs; the operands; and, given the cotangents of the differentiable
          outputs, the gradients of `carried`, `products`, `moved`, and `probes`.
        """
        names = [*self.border, *self.carry, *self.products, *self.inputs]
        values = [*border, *carry, *products, *inputs]
        given = self.program.constants | dict(zip(names, values, strict=True))
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
                mark(a, found[a])
                if a in self._constant_outputs
                else jnp.asarray(value_of(a, found))
                for a in self.program.outputs
            ]
            varied = chosen(outputs, map(differentiable, self.program.outputs))
            return varied, (outputs, [found[v] for v in self.operands])

        zeros = [blank(type_of(v)) for v in self.probes]
        _, pull, found = jax.vjp(run, [given[v] for v in moving], zeros, has_aux=True)
        return *found, pull(cotangents)

    def late(
        self, length: int, border: Arrays, inputs: Arrays, operands: Arrays, cotangents: Arrays
    ) -> tuple[Arrays, Arrays]:
        """Several steps' gradients of the learned border, and of the inputs through the products.

        Args:
          length: the number of steps; inputs, operands and cotangents have it as leading axis.
          cotangents: the gradients of the products and of the probes.
        """

        def run(some_border, some_inputs):
            whole = replaced(border, self.learned, some_border)
            values = self.ahead(whole, replaced(inputs, self.wanted_inputs, some_inputs))
            found = self._known(whole) | dict(zip(self.operands, operands, strict=True))
            for equation in self.probed:
                outs = over_time(equation, found, set(self.operands))
                values += chosen(outs, map(differentiable, equation.outvars))
            values += [found[v] for v in self._constant_outputs]
            names = [*self.products, *self.probes]
            return [
                jnp.broadcast_to(value, (length, *type_of(name).shape))
                for name, value in zip(names, values, strict=True)
            ]

        at = chosen(border, self.learned), chosen(inputs, self.wanted_inputs)
        return jax.vjp(run, *at)[1](cotangents)

    def needed_operands(self) -> list[bool]:
        """Flags: which operands `late` reads. Gradients of products do, those of sums do not."""
        groups = [self.border, self.inputs, self.operands, [*self.products, *self.probes]]
        one_step = lambda values: [value[None] for value in values]
        late = trace(
            lambda border, *rest: self.late(1, border, *map(one_step, rest)),
            *(list(map(type_of, group)) for group in groups),
        )
        _, _, operands, _ = divided(late.inputs, *map(len, groups[:-1]))
        used = {v for e in late.before(late.inputs, late.outputs) for v in variables(e.invars)}
        return [v in used for v in operands]

    def of_constants(self, constants: Arrays, d_border: Arrays) -> Arrays:
        """The gradients of the wanted constants, from those of the learned border."""
        flags = self.wanted_constants
        run = lambda some: chosen(self.fix(replaced(constants, flags, some)), self.learned)
        return jax.vjp(run, chosen(constants, flags))[1](d_border)[0]

    def _known(self, border: Arrays) -> dict[Var, Array]:
        """The value of every fixed variable that the loop reads."""
        entering = dict(zip(self.entering, self.enter(border), strict=True))
        return self.program.constants | entering
