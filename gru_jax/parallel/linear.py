"""Values that are linear in the carry, unit by unit, and the equations that keep them so."""

import jax.numpy as jnp

from gru_jax.axes import Array
from gru_jax.bptt import jaxprs

# What such a value is made of: a coefficient for each array of the carry, by its place, and under
# REST what is added. All have a leading axis of time, of size 1 if they do not depend on time.
Linear = dict[int, Array]
REST = -1


def linear(equation: jaxprs.JaxprEqn, given: list[Linear]) -> Linear | None:
    """The result of an equation of linear values; None if it may not be linear unit by unit."""
    out = jaxprs.type_of(equation.outvars[0])
    moving = [place for place, each in enumerate(given) if each.keys() - {REST}]
    if any(jaxprs.type_of(equation.invars[place]).shape != out.shape for place in moving):
        return None
    given = [{key: _beside(value, len(out.shape)) for key, value in each.items()} for each in given]
    match equation.primitive.name, moving:
        case "copy", _:
            return given[0]
        case "neg", _:
            return {key: -value for key, value in given[0].items()}
        case "convert_element_type", _ if jnp.issubdtype(out.dtype, jnp.inexact):
            return {key: value.astype(out.dtype) for key, value in given[0].items()}
        case "add" | "add_any", _:
            return _sum(given[0], given[1])
        case "sub", _:
            return _sum(given[0], {key: -value for key, value in given[1].items()})
        case "mul", [place]:
            return {key: value * given[1 - place][REST] for key, value in given[place].items()}
        case "div", [0]:
            return {key: value / given[1][REST] for key, value in given[0].items()}
        case "select_n", [first, *_] if first > 0 and len(given) == 3:
            zero = jnp.zeros(1, out.dtype)
            choose = lambda key: jnp.where(
                given[0][REST], given[2].get(key, zero), given[1].get(key, zero)
            )
            return {key: choose(key) for key in given[1] | given[2]}
    return None


def leaves_out(equation: jaxprs.JaxprEqn, given: list[Linear]) -> bool:
    """Whether this chooses between a value that depends on the carry and one that does not."""
    if equation.primitive.name != "select_n":
        return False
    return bool((given[1].keys() ^ given[2].keys()) - {REST})


def _beside(value: Array, rank: int) -> Array:
    """With this many axes behind that of time: a scalar may stand beside an array."""
    return value.reshape(*value.shape, *[1] * (1 + rank - value.ndim))


def _sum(a: Linear, b: Linear) -> Linear:
    return a | {key: a[key] + value if key in a else value for key, value in b.items()}


def reached(place: int, rows: dict[int, Linear]) -> list[int] | None:
    """The arrays of the carry that one depends on, directly or not, and itself.

    None if one of them is not in `rows`.
    """
    found = [place]
    for each in found:
        if each not in rows:
            return None
        found += [key for key in rows[each] if key != REST and key not in found]
    return found
