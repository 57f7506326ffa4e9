"""Gradients through time: against theory, and against other ways to compute them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import GRUCell, LSTMCell, VanillaCell
from gru_jax.diagnostics import (
    dynamics,
    horizon,
    input_response,
    jacobians,
    loss_gradient,
    lyapunov_exponents,
    random_vectors,
    transport,
    vanilla_bound,
)
from tests.helpers import randomise
from tests.recurrent_models import (
    DOUBLE,
    MODELS,
    D,
    H,
    T,
    cell,
    over_models,
    sequence,
    stacked,
)

pytestmark = pytest.mark.usefixtures("least_effort", "x64")


@pytest.mark.parametrize(
    "make",
    [
        lambda: stacked(GRUCell),
        lambda: stacked(LSTMCell, readout="every"),
        lambda: stacked(LSTMCell, readout="flatten", length=T),
        lambda: stacked(VanillaCell),
        MODELS["lstm"],
        MODELS["nnx gru"],
        MODELS["nnx lstm"],
    ],
)
def test_a_loss_gradient_is_that_of_a_perturbation(make):
    model, x = make(), sequence()
    loss = lambda outputs: jnp.sum(jnp.sin(3 * outputs))
    system = dynamics(model, x)

    def perturbed(start, noise, params):
        def advance(state, now):
            x, more, mine = now
            state = system.step(mine, state, x) + more
            return state, state

        return loss(system.read(jax.lax.scan(advance, start, (x, noise, params))[1]))

    zeros = jnp.zeros((T, system.start.size))
    copies = jax.tree.map(lambda leaf: jnp.stack([leaf] * T), system.params)
    at_start, at_states, at_weights = jax.grad(perturbed, (0, 1, 2))(system.start, zeros, copies)
    found = loss_gradient(model, x, loss)
    states = [np.linalg.norm(g) for g in (at_start, *at_states)][::-1]
    np.testing.assert_allclose(np.exp(found.log_state), states, rtol=1e-9)
    squares = [(leaf.reshape(T, -1) ** 2).sum(1) for leaf in jax.tree.leaves(at_weights)]
    weights = np.sqrt(sum(squares))[::-1]
    np.testing.assert_allclose(np.exp(found.log_weights), weights, rtol=1e-9)
    np.testing.assert_allclose(found.weight_share, weights / weights.sum(), rtol=1e-9)


@pytest.mark.quick
def test_a_linear_network_carries_exactly_its_scale():
    for scale in (0.5, 1.0, 1.5):
        model = VanillaCell(D, H, activation="identity", scale=scale, **DOUBLE, rngs=nnx.Rngs(0))
        x = sequence(50)
        lags = np.arange(51)
        vectors = random_vectors(jax.random.key(0), 2, H)
        exact = lags * np.log(scale)
        for log in transport(model, x, vectors):
            np.testing.assert_allclose(log, exact, atol=1e-13 * 50)
        np.testing.assert_allclose(jacobians(model, x).log_largest, exact[1:], atol=1e-12)
        np.testing.assert_allclose(lyapunov_exponents(model, x, H), np.log(scale), atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "softsign", "relu"])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_the_bound_of_a_vanilla_network_is_not_crossed(activation, scale):
    models = [
        VanillaCell(D, 8, activation=activation, scale=scale, **DOUBLE, rngs=nnx.Rngs(seed))
        for seed in range(10)
    ]
    for seed, model in enumerate(models):
        model.candidate.bias[...] = sequence(1, 8, seed)[0] / 3
    vectors = random_vectors(jax.random.key(0), 4, 8)
    x = jnp.stack([sequence(60, seed=seed, scale=0.3) for seed in range(10)])

    def measure(model, x):
        return (
            transport(model, x, vectors),
            jacobians(model, x).log_largest,
            vanilla_bound(model, x),
        )

    moved, largest, bound = over_models(models, measure)(x)
    assert (moved <= bound[:, None] + 1e-12).all()
    assert (largest <= bound[:, 1:] + 1e-12).all()
    steps = np.broadcast_to(np.arange(61) * np.log(scale), bound.shape)
    if activation == "relu":  # slopes are 1, or all 0 at a step
        np.testing.assert_allclose(bound, np.where(bound > -np.inf, steps, -np.inf), 1e-9)
    else:
        assert (bound[:, -1] < steps[:, -1] - 1e-3).all()


@pytest.mark.quick
def test_a_gate_pinned_to_keep_carries_the_identity():
    model, x = cell(GRUCell, update="keep"), sequence(300)
    found = jacobians(model, x)
    assert (found.log_largest == 0).all()
    assert (found.log_own[0] == 0).all()
    vectors = jnp.eye(H)
    assert (transport(model, x, vectors) == 0).all()
    np.testing.assert_allclose(lyapunov_exponents(model, x, H), 0, atol=1e-15)


def test_open_reset_and_no_update_is_the_vanilla_curve():
    gru = cell(GRUCell, reset="open", update="replace", bias=["candidate"])
    vanilla = cell(VanillaCell)
    nnx.update(vanilla.candidate, nnx.state(gru.candidate))
    x, vectors = sequence(40), random_vectors(jax.random.key(0), 3, H)
    np.testing.assert_array_equal(transport(gru, x, vectors), transport(vanilla, x, vectors))
    np.testing.assert_array_equal(jacobians(gru, x)[0], jacobians(vanilla, x)[0])
    loss = lambda outputs: jnp.sum(outputs[-1] ** 2)
    states = [loss_gradient(model, x, loss).log_state for model in (gru, vanilla)]
    np.testing.assert_array_equal(*states)


def test_horizons():
    logs = jnp.log(jnp.array([[1, 0.5, 0.001, 0.02], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert jax.vmap(horizon)(logs).tolist() == [3, 3, 0, 0]
    assert int(horizon(logs[0], 0.1)) == 1


def test_what_an_input_adds_to_a_steps_gain():
    """If only the update gate carries a unit, the gain is log z_t, which depends on the marker."""
    model = randomise(GRUCell(2, 1, reset="open", rngs=nnx.Rngs(0), **DOUBLE))
    for gate in (model.update, model.candidate):
        gate.recurrent_kernel[...] = jnp.zeros((1, 1))
    model.update.kernel[...] = jnp.array([[0.0], [1.7]])  # the first feature has no effect
    generator = np.random.default_rng(0)
    marks = generator.random(40) < 0.3
    inputs = jnp.asarray(np.stack([generator.normal(size=40), marks], axis=1))
    carried = transport(model, inputs, jnp.ones((1, 1)))[0]
    bias = float(model.update.bias[0])
    expected = [0.0, jax.nn.log_sigmoid(1.7 + bias) - jax.nn.log_sigmoid(bias)]
    np.testing.assert_allclose(input_response(carried, inputs), expected, atol=1e-9)
    # Steps at a lag of 30 or more now have no finite gain, and are left out.
    cut = carried.at[30:].set(-jnp.inf)
    np.testing.assert_allclose(input_response(cut, inputs), expected, atol=1e-9)


def test_vectors_of_more_precision_than_the_model():
    model, x = GRUCell(D, H, rngs=nnx.Rngs(0)), sequence().astype(jnp.float32)
    vectors = random_vectors(jax.random.key(0), 2, H)
    assert vectors.dtype == jnp.float64
    found = transport(model, x, vectors)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found[:, 0], 0, atol=1e-6)
