"""Products of the same values are one product, and nothing else changes."""

import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

from gru_jax import scan
from gru_jax.bptt.joining import joined
from tests.helpers import agree, equations

B, H = 3, 4
pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("x64")]

low = lambda a: a.astype(jnp.bfloat16)
# Each with the number of products that remain. u, v and w are the same at every step.
STEPS = {
    "the same values": (lambda a: (a.h @ a.u, jnp.sin(a.h @ a.v), a.h @ a.u.T), 1),
    "other values": (lambda a: (a.h @ a.u, a.x @ a.v), 2),
    "twice two": (lambda a: (a.h @ a.u, a.x @ a.v, a.h @ a.v, a.x @ a.u), 2),
    "a matrix that varies": (lambda a: (a.h @ a.u, a.h @ a.x.T), 2),
    "one after the other": (lambda a: ((a.h @ a.u) @ a.v, a.h @ a.v), 2),
    "another precision": (lambda a: (a.h @ a.u, low(a.h) @ low(a.v)), 2),
    "another precision of operands": (
        lambda a: (jnp.matmul(low(a.h), low(a.u), preferred_element_type=a.h.dtype), a.h @ a.v),
        2,
    ),
    "converted each time": (lambda a: (low(a.h) @ low(a.u), low(a.h) @ low(a.v)), 1),
    "rounded and converted back": (
        lambda a: (a.h @ low(a.u).astype(a.h.dtype), low(a.h).astype(a.h.dtype) @ a.v, a.h @ a.u),
        2,
    ),
    "parts of a matrix": (lambda a: (a.h @ a.w[:H], a.h @ a.w[H:]), 1),
    "three axes": (lambda a: ((more := a.h[None]) @ a.u, more @ a.v, a.h @ a.u), 2),
    "no products": (lambda a: (a.h * a.u[0], a.h), 0),
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_joined_and_that_it_computes_the_same(name):
    step, remaining = STEPS[name]
    shapes = {"u": (H, H), "v": (H, 2), "w": (2 * H, H), "h": (B, H), "x": (B, H)}
    draw = np.random.default_rng(0)
    values = [jnp.asarray(draw.normal(size=shape)) for shape in shapes.values()]
    named = lambda *values: step(SimpleNamespace(**dict(zip(shapes, values, strict=True))))
    before = jax.make_jaxpr(named)(*values)
    after = joined(before, 3)
    assert len([*equations(after.jaxpr, ("dot_general",))]) == remaining
    found, expected = (jaxpr_as_fun(each)(*values) for each in (after, before))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_gradient_that_stands_in_another_is_not_stored_again():
    """Those of arrays that are added to a product are parts of that of the product."""
    shapes = {"u": (H, H), "v": (H, H), "b": (B, H), "c": (B, H)}
    draw = np.random.default_rng(0)
    weights = {name: jnp.asarray(draw.normal(size=shape)) for name, shape in shapes.items()}
    xs = jnp.asarray(draw.normal(size=(8, B, H)))

    def loss(w, loop):
        new = lambda h, x: jnp.sin(h @ w["u"] + w["b"]) + x * jnp.tanh(h @ w["v"] + w["c"])
        return loop(lambda h, x: (new(h, x), None), xs[0], xs)[0].sum()

    ours = jax.grad(lambda w: loss(w, functools.partial(scan, segment=4)))
    outer = [e for e in jax.make_jaxpr(ours)(weights).jaxpr.eqns if e.primitive.name == "scan"][-1]
    (inner,) = equations(outer.params["jaxpr"].jaxpr, ("scan",))
    emitted = [v.aval.shape for v in inner.outvars if v.aval.ndim == 3]  # a carry has two axes
    # The first is the gradient of x, no part of another. XLA leaves it out, since nobody reads it.
    assert emitted == [(4, B, H), (4, B, 2 * H)]
    agree(ours(weights), jax.grad(lambda w: loss(w, jax.lax.scan))(weights), 1e-10)


def test_parts_of_what_is_computed_ahead_are_divided_before_the_loop():
    """XLA uses no vectors in a loop over a part of a part; the whole is read where it is needed."""
    draw = np.random.default_rng(0)
    weights = {name: jnp.asarray(draw.normal(size=(H, H))) for name in "uvw"}
    xs = jnp.asarray(draw.normal(size=(8, B, H)))

    def parts(w, h, x):
        return jnp.tanh(x @ w["u"] + h) * (x @ w["v"])

    def whole(w, h, x):
        both = x @ jnp.concatenate([w["u"], w["v"]], 1)
        first, second = jnp.split(both, 2, 1)
        return jnp.tanh(first + h) * second + both.sum()

    for step, widths in ((parts, {H}), (whole, {2 * H})):
        agrees_ahead(step, widths, weights, xs)


def agrees_ahead(step, widths, weights, xs):
    """The loop forwards is given arrays of these widths; gradients are those of `lax.scan`."""

    def loss(w, loop):
        new = lambda h, x: (step(w, jnp.tanh(h @ w["w"]), x),) * 2
        return loop(new, xs[0], xs)[1].sum()

    expected = jax.grad(lambda w: loss(w, jax.lax.scan))(weights)
    for gradient in ("batched", "recomputed"):
        loop = functools.partial(scan, gradient=gradient, segment=4)
        ours = jax.grad(functools.partial(loss, loop=loop))
        outer = next(equations(jax.make_jaxpr(ours)(weights).jaxpr, ("scan",)))
        inner = next(equations(outer.params["jaxpr"].jaxpr, ("scan",)))
        assert {v.aval.shape[-1] for v in inner.invars if v.aval.ndim == 3} - {H} == widths - {H}
        agree(ours(weights), expected, 1e-10)
