"""The derivative of a scan's step, divided into the functions that the loops call.

`Step` has sorted the equations of the step. Its derivative is traced as equations as well, and
then every equation is computed in one of these places:

    prepare   whatever depends on the constants alone: once, before the loops
    ahead     the products of the inputs: for all steps of a segment at once
    forward   the rest of the step: step by step, in the loop forwards
    back      what carries the gradient from a step to the one before: step by step, backwards
    late      the gradients of constants and inputs: for all steps of a segment at once

`back` and `late` read intermediate values of a step. Each value is either kept by `forward` or
recomputed, whichever costs less: see `least_kept`.
"""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal

from gru_jax.bptt.jaxprs import Arrays, blank, trace, type_of, variables
from gru_jax.bptt.lists import chosen, divided, replaced
from gru_jax.bptt.recomputation import least_kept
from gru_jax.bptt.step import Body, Step


def derivative(body: Body, constants: tuple[bool, ...], inputs: tuple[bool, ...]) -> "Derivative":
    """The `Derivative` for these flags.

    It is built once for each body, which a scan may run twice: in segments, and for the steps that
    do not fill a segment.
    """
    if (constants, inputs) not in body.derivatives:
        body.derivatives[constants, inputs] = Derivative(body, constants, inputs)
    return body.derivatives[constants, inputs]


@jax.tree_util.register_static
class Derivative:
    """The derivative of a body with respect to its carry, and to some constants and inputs.

    Its methods take and return lists of arrays, under these names:

      border: the constants as they enter the loops, see `Step`.
      fixed: everything that is the same at every step of both loops.
      products: the results of the products that are computed ahead.
      kept: the values of each step that `back` and `late` read and do not recompute.
      emitted: the gradients of each step that `back` computes for `late`.

    Args:
      body: the step.
      constants, inputs: flags that say for which of them a gradient is wanted.
    """

    def __init__(self, body: Body, constants: Iterable[bool], inputs: Iterable[bool]):
        self.step = step = Step(body, constants, inputs)
        self._needed = step.needed_operands()
        groups = [step.border, step.carry, step.products, step.inputs]
        types = [list(map(type_of, group)) for group in groups]
        joint = trace(step.with_gradients, *types, step.cotangents, fixed=1)
        border, carry, products, x, cotangents = divided(joint.inputs, *map(len, groups))
        sizes = len(step.program.outputs), len(step.operands), len(step.carried)
        outputs, operands, d_carried, self._d_rest = divided(joint.outputs, *sizes)
        after, outputs_only = divided(outputs, len(carry))
        varying = joint.varying([*carry, *products, *x, *cotangents])
        fixed = joint.entering(varying)
        backwards = joint.after(cotangents)
        emitted = [v for v in dict.fromkeys(variables(self._d_rest)) if v in backwards]
        # What another array that is emitted holds is read from there.
        self._within = joint.within(emitted)
        self._emitted = [v for v in emitted if v not in self._within]
        operands = chosen(operands, self._needed)

        results = [*d_carried, *self._emitted]
        equations = joint.before(joint.inputs, results)
        read = [a for e in equations if not backwards.isdisjoint(e.outvars) for a in e.invars]
        free, shown = {*fixed, *x}, variables(outputs_only)
        read = list(dict.fromkeys(variables([*read, *operands])))
        required = [v for v in read if v in varying - backwards - free]
        kept = least_kept(joint, free, required, set(shown))
        # The carry before a step is the carry after the previous step. If both are to be kept, only
        # the latter is stored, and the former is read from it, shifted by one step.
        ends = dict(zip(carry, after, strict=True))
        shifted = [v for v in kept if ends.get(v) in kept and ends[v] not in carry]
        self._stored_outputs = [outputs_only.index(v) for v in kept if v in shown]
        new = [v for v in kept if v not in shown and v not in shifted]
        stored = [*(outputs_only[place] for place in self._stored_outputs), *new]
        self._shifted = [(carry.index(v), stored.index(ends[v])) for v in shifted]

        known = [*fixed, *stored, *shifted, *x]
        self._prepare = joint.part(border, fixed)
        self._forward = joint.part([*fixed, *carry, *products, *x], [*outputs, *new])
        self._back = joint.part([*known, *cotangents], results)
        self._operands = joint.part(known, operands)

    def prepare(self, border: Arrays) -> Arrays:
        """The values of all that is fixed."""
        return self._prepare(*border)

    def forward(
        self, fixed: Arrays, carry: Arrays, products: Arrays, inputs: Arrays
    ) -> tuple[Arrays, Arrays, Arrays]:
        """One step: the carry after it, its outputs, and the other values to store."""
        found = self._forward(*fixed, *carry, *products, *inputs)
        outputs = len(self.step.program.outputs) - len(carry)
        carry, results, new = divided(found, len(carry), outputs)
        return carry, results, new

    def stored(self, start: Arrays, outputs: Arrays, new: Arrays) -> tuple[Arrays, Arrays, Arrays]:
        """Selects what to store of a segment, for `kept`.

        Args:
          start: the carry before the segment.
          outputs, new: what `forward` returned at each step.
        """
        starts = [start[place] for place, _ in self._shifted]
        return starts, [outputs[place] for place in self._stored_outputs], new

    def kept(self, starts: Arrays, outputs: Arrays, new: Arrays, reverse: bool) -> Arrays:
        """What is kept of each step of a segment, from what `stored` returned."""
        stored = [*outputs, *new]
        after = [stored[place] for _, place in self._shifted]
        join = lambda start, after: [after[1:], start] if reverse else [start, after[:-1]]
        before = [jnp.concatenate(join(s[None], a)) for s, a in zip(starts, after, strict=True)]
        return [*stored, *before]

    def back(
        self, fixed: Arrays, kept: Arrays, inputs: Arrays, cotangents: Arrays
    ) -> tuple[Arrays, Arrays]:
        """One step backwards: the gradients of the carry before it, and those for `late`.

        Args:
          cotangents: the gradients of the carry after the step and of its outputs.
        """
        found = self._back(*fixed, *kept, *inputs, *cotangents)
        d_carry, emitted = divided(found, len(self.step.carried))
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
        """The gradients of the learned border, and of the wanted inputs, over `length` steps."""
        step = self.step
        operands = [blank(type_of(v), length) for v in step.operands]
        if any(self._needed):
            of_steps = jax.vmap(lambda *each: self._operands(*fixed, *each))
            operands = replaced(operands, self._needed, of_steps(*kept, *inputs))
        found = dict(zip(self._emitted, emitted, strict=True))
        for name, (whole, start, axis) in self._within.items():
            end = start + type_of(name).shape[axis]
            found[name] = lax.slice_in_dim(found[whole], start, end, axis=axis + 1)
        # A literal is a zero, of what no gradient depends on.
        emitted_here = lambda atom: not isinstance(atom, Literal) and atom in found
        rest = [found[a] if emitted_here(a) else blank(type_of(a), length) for a in self._d_rest]
        of_products, direct, of_probes = divided(rest, len(step.products), len(step.moved))
        d_border, d_inputs = step.late(length, border, inputs, operands, of_products + of_probes)
        return d_border, [a + b for a, b in zip(d_inputs, direct, strict=True)]
