"""`parallel_scan`, a `jax.lax.scan` of many steps at once."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gru_jax.parallel import recurrence
from gru_jax.parallel.steps import NotLinearError, Step, Steps


def parallel_scan(
    step: Step, init: Any, xs: Any, reverse: bool = False, *, form: str = "chunked", chunk: int = 0
) -> tuple[Any, Any]:
    """`jax.lax.scan` of a step that is linear in its carry, with many steps at once.

        carry, y_t = step(carry, x_t),  where carry_t = A_t carry_{t-1} + b_t,  t = 1..T

    A_t and b_t may depend on x_t in any way, but A_t acts on each unit by itself. If there are
    several arrays in the carry, such as the real and the imaginary part of a state, each may depend
    on the same unit of the others. What follows from such carries, as y_t does, or an array of the
    carry that no step reads, may depend on them in any way. Values and derivatives, those in
    forward mode too, are those of `lax.scan` up to rounding.

    Args:
      step, init, xs, reverse: as for `lax.scan`; there must be an array in xs.
      form, chunk: how the recurrence is solved, see `recurrence.solve`.

    Returns:
      The last carry, and the outputs of all steps stacked along a leading axis.

    Raises:
      FieldError: `form` or `chunk` has a value that is not allowed.
      NotLinearError: the step is not linear in its carry.

    >>> decay = lambda h, x: (0.5 * h + x, h)
    >>> parallel_scan(decay, jnp.zeros(1), jnp.ones((4, 1)))[0].tolist()
    [1.875]
    """
    # Raises the errors of lax.scan, and finds the types to which it promotes the carry.
    types, outputs = jax.eval_shape(functools.partial(lax.scan, step), init, xs)
    if not jax.tree.leaves(xs)[0].shape[0]:
        return lax.scan(step, init, xs)
    leaves = zip(jax.tree.leaves(init), jax.tree.leaves(types), strict=True)
    carry = [jnp.asarray(value, type.dtype) for value, type in leaves]
    steps = Steps(step, types, xs, reverse)
    last = steps.solve(carry, functools.partial(recurrence.solve, form=form, chunk=chunk))
    structure = jax.tree.structure((types, outputs))
    return jax.tree.unflatten(structure, [*last, *steps.outputs()])


def is_linear(step: Step, init: Any, x: Any) -> bool:
    """Whether `parallel_scan` can run this step, given the types of a carry and of its inputs."""
    xs = jax.tree.map(lambda a: jax.ShapeDtypeStruct((2, *a.shape), a.dtype), x)
    try:
        jax.eval_shape(functools.partial(parallel_scan, step), init, xs)
    except NotLinearError:
        return False
    return True
