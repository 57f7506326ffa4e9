"""Values that can be differentiated in reverse mode only, with an error that says so.

A `jax.custom_vjp` cannot be differentiated in forward mode. JAX's own error does not say what to do
about that, and under `jit` it is not raised where the function is called, so that it cannot be
caught there.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from gru_jax.axes import Array

ADVICE = 'forward-mode differentiation (jax.jvp, jax.jacfwd) needs gradient="plain"'


@jax.custom_jvp
def _identity(value: Array) -> Array:
    return value


@_identity.defjvp
def _tangent(values: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return values[0], _transposed.bind(tangents[0])


def reverse_only(value: Array) -> Array:
    """Returns the value.

    Raises:
      TypeError: later, when a derivative in forward mode is computed or compiled.
    """
    return _identity(value) if jnp.issubdtype(jnp.result_type(value), jnp.inexact) else value


def _refuse(*_: Any, **__: Any) -> Any:
    raise TypeError(ADVICE)


# An identity of tangents that may be transposed, which is all that reverse mode does with it.
_transposed = Primitive("reverse_only")
_transposed.def_abstract_eval(lambda tangent: tangent)
_transposed.def_impl(_refuse)
ad.deflinear2(_transposed, lambda cotangent, _: [cotangent])
batching.primitive_batchers[_transposed] = _refuse
mlir.register_lowering(_transposed, _refuse)
