"""A function that JAX traces once, and differentiates here by this and there by that."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from gru_jax import GRUCell, SequenceModel, scan

W, U, XS = (jax.random.normal(jax.random.key(n), shape) / 2 for n, shape in
            enumerate([(3, 4), (4, 4), (7, 3)]))  # fmt: skip


def summed(scan, wrap, **options):
    """The squared outputs of an RNN, as a function of its weights and inputs."""

    def run(w, u, xs):
        step = lambda h, x: (jnp.tanh(x @ w + h @ u), h)
        return jnp.sum(scan(step, jnp.full(4, 0.1), xs, **options)[1] ** 2)

    return wrap(run)


USES = {
    "inputs, then weights": lambda f: jax.grad(lambda s: f(W, U, XS * s) + f(W * s, U, XS)),
    "weights, then inputs": lambda f: jax.grad(lambda s: f(W * s, U, XS) + f(W, U, XS * s)),
    "more, then fewer": lambda f: jax.grad(lambda s: f(W * s, U * s, XS * s) + f(W, U * s, XS)),
    "both as arguments": lambda f: jax.grad(
        lambda s, w=W: f(w, U, XS * s) + f(lax.stop_gradient(w), U, XS * s)
    ),
    "pulled back later": lambda f: (
        lambda s: (lambda one, other: one[1](1.0)[0] + other[1](1.0)[0])(
            jax.vjp(lambda s: f(W, U, XS * s), s), jax.vjp(lambda s: f(W * s, U, XS), s)
        )
    ),
    "of a gradient": lambda f: jax.grad(
        lambda s: jnp.sum(jax.grad(f)(W * s, U, XS)) + jnp.sum(jax.grad(f, 2)(W, U * s, XS))
    ),
}


@pytest.mark.parametrize("gradient", ["batched", "recomputed"])
@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint])
@pytest.mark.parametrize("use", USES)
def test_in_one_place_with_respect_to_this_and_in_another_to_that(use, wrap, gradient):
    found = USES[use](summed(scan, wrap, gradient=gradient, segment=3))(1.5)
    np.testing.assert_allclose(found, USES[use](summed(lax.scan, lambda f: f))(1.5), rtol=1e-5)


@pytest.mark.parametrize("gradient", ["batched", "recomputed"])
@pytest.mark.parametrize("through", ["product of weights", "state", "inputs"])
def test_a_scan_in_the_step_of_a_scan(through, gradient):
    """Whose step reads what the outer one closes over, its state, and its inputs."""
    ours = lambda *given: scan(*given, gradient=gradient, segment=2)

    def outer(scan, u, h, xs):
        inner = {
            "product of weights": lambda g, y: (g + jnp.sum(u @ u) * y, g),
            "state": lambda g, y: (jnp.tanh(g @ u + y), g),
            "inputs": lambda g, y: (jnp.tanh(g + y @ u), g * y),
        }[through]

        def step(h, x):
            last, seen = scan(inner, h, XS * x)
            return jnp.tanh(last + x), jnp.sum(seen, axis=0)

        last, outputs = scan(step, h, xs)
        return jnp.sum(last**2) + jnp.sum(outputs**2)

    given = U[:3, :3], jnp.full(3, 0.2), XS[::-1] + 0.3
    for found, expected in zip(
        jax.grad(lambda *given: outer(ours, *given), (0, 1, 2))(*given),
        jax.grad(lambda *given: outer(lax.scan, *given), (0, 1, 2))(*given),
        strict=True,
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint])
def test_a_model_of_which_one_call_gives_gradients_to_weights_and_another_to_inputs(wrap):
    found = {}
    for gradient in ("batched", "plain"):
        model = SequenceModel(
            GRUCell, 3, 2, hidden_sizes=(4,), gradient=gradient, rngs=nnx.Rngs(0), readout="every"
        )
        graph, params = nnx.split(model)
        apply = wrap(lambda params, xs, graph=graph: nnx.merge(graph, params)(xs))

        def loss(params, s, apply=apply):
            one = apply(lax.stop_gradient(params), XS[None] * s)
            return jnp.sum(one**2) + jnp.sum(apply(params, XS[None]) ** 2)

        found[gradient] = jax.grad(loss, (0, 1))(params, jnp.ones(3))
    for ours, theirs in zip(*map(jax.tree.leaves, found.values()), strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
