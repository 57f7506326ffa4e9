"""Diagnostics in general: the dynamics of a model, many models at once, tokens, and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import FieldError, GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.diagnostics import (
    dynamics,
    horizon,
    jacobians,
    kept,
    loss_gradient,
    lyapunov_exponents,
    random_vectors,
    transport,
)
from tests.helpers import randomise
from tests.recurrent_models import MODELS, H, T, cell, over_models, sequence, stacked

pytestmark = pytest.mark.usefixtures("least_effort", "x64")


def test_the_states_are_the_models_own():
    model, x = stacked(LSTMCell), sequence()
    carry, _ = model(x, return_carry=True)
    last = jnp.concatenate([state for layer in carry for state in layer])
    system = dynamics(model, x)
    np.testing.assert_allclose(system.states(x)[-1], last, rtol=1e-12)
    for units, (c, _) in zip(system.units, carry, strict=True):
        np.testing.assert_array_equal(last[units], c)
    for readout in ("last", "every", "flatten"):
        model = stacked(LSTMCell, readout=readout, length=T)
        system = dynamics(model, x)
        np.testing.assert_allclose(system.read(system.states(x)[1:]), model(x), rtol=1e-12)
    of_flax = randomise(SequenceModel(nnx.GRUCell, 3, 2, hidden_sizes=(H,), rngs=nnx.Rngs(0)))
    x_low = x.astype(jnp.float32)
    system = dynamics(of_flax, x_low)
    np.testing.assert_allclose(
        system.read(system.states(x_low)[1:]), of_flax(x_low), rtol=1e-5, atol=1e-6
    )
    for name in ("lstm", "nnx gru", "nnx lstm"):
        model = MODELS[name]()
        system = dynamics(model, x)
        outputs = nnx.RNN(model)(x[None])[0]
        np.testing.assert_allclose(system.read(system.states(x)[1:]), outputs, rtol=1e-12)


def test_ten_thousand_steps_stay_finite_or_are_minus_infinity():
    with jax.enable_x64(False):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(10_000, 2)), jnp.float32)
        model = GRUCell(2, 4, rngs=nnx.Rngs(0))
        assert dynamics(model, x).start.dtype == jnp.float32
        vectors = random_vectors(jax.random.key(0), 2, 4)
        logs = transport(model, x, vectors)
        assert jnp.isfinite(logs).all()
        assert logs[0, -1] < -1000  # float32 has no numbers below exp(-104)
        assert jnp.isfinite(jacobians(model, x, 1000).log_largest).all()
        gradient = loss_gradient(model, x, lambda outputs: outputs[-1].sum())
        assert jnp.isfinite(gradient.log_state).all()
        np.testing.assert_allclose(gradient.weight_share.sum(), 1, rtol=1e-5)
        dead = VanillaCell(2, 4, scale=0.0, rngs=nnx.Rngs(0))
        assert (transport(dead, x, vectors)[:, 1:] == -jnp.inf).all()
        gradient = loss_gradient(dead, x, lambda outputs: outputs[-1].sum())
        assert (gradient.log_state[1:] == -jnp.inf).all()
        assert gradient.weight_share[0] == 1
        assert (lyapunov_exponents(dead, x, 2) == -jnp.inf).all()
        exploding = VanillaCell(2, 4, activation="identity", scale=1.5, rngs=nnx.Rngs(0))
        quiet = jnp.zeros_like(x)
        np.testing.assert_allclose(
            transport(exploding, quiet, vectors)[:, -1], 10_000 * np.log(1.5), rtol=1e-4
        )


def test_over_examples_and_models_at_once():
    models = [cell(GRUCell, seed=seed) for seed in range(3)]
    x = jnp.stack([sequence(seed=seed) for seed in range(2)])
    measure = lambda model, x: jacobians(model, x).log_largest
    over_examples = lambda model, x: jax.vmap(lambda one: measure(model, one))(x)
    found = over_models(models, over_examples)(jnp.stack([x] * 3))
    assert found.shape == (3, 2, T)
    for i, model in enumerate(models):
        for j in range(2):
            np.testing.assert_allclose(found[i, j], measure(model, x[j]), rtol=1e-9)


def test_tokens():
    model = stacked(GRUCell, encoder="embedding", embedding_size=3)
    tokens = jnp.array([0, 2, 1, 1])
    assert transport(model, tokens, jnp.eye(5)).shape == (5, 5)
    assert [values.shape for values in kept(model, tokens)] == [(4, 3), (4, 2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jacobians(cell(GRUCell), sequence(), T + 1), "every = 10"),
        (lambda: lyapunov_exponents(cell(GRUCell), sequence(), H + 1), "count = 5"),
        (lambda: kept(cell(VanillaCell), sequence()), "one with a gate that decides what is kept"),
        (lambda: kept(MODELS["nnx gru"](), sequence()), "others do not return their gates"),
        (lambda: dynamics(stacked(GRUCell, bidirectional=True), sequence()), "bidirectional"),
        (lambda: horizon(jnp.zeros(3), 0.0), "share"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(FieldError, match=message):
        call()
