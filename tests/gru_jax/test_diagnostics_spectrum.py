"""Jacobians, singular values and Lyapunov exponents: against other ways to compute them."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import LSTMCell
from gru_jax.diagnostics import (
    dynamics,
    jacobians,
    lyapunov_exponents,
    random_vectors,
    transport,
)
from gru_jax.diagnostics.spectrum import _log_largest
from tests.recurrent_models import EVERY_MODEL, cell, sequence

pytestmark = pytest.mark.usefixtures("least_effort", "x64")


def products(model, x):
    """dh_T/dh_{T-n} for n = 0..T: the steps' Jacobians by jax.jacrev, multiplied in NumPy."""
    system = dynamics(model, x)
    one = jax.jit(jax.vmap(jax.jacrev(lambda state, now: system.step(system.params, state, now))))
    found = [np.eye(system.start.size)]
    for jacobian in np.asarray(one(system.states(x)[:-1], x))[::-1]:
        found.append(found[-1] @ jacobian)
    return found


@EVERY_MODEL
def test_jacobians_are_those_of_jacrev_and_of_finite_differences(make):
    model = make()
    x = sequence()
    expected = products(model, x)
    found = jacobians(model, x)
    largest = [np.linalg.norm(product, 2) for product in expected[1:]]
    np.testing.assert_allclose(np.exp(found.log_largest), largest, rtol=1e-9)
    system = dynamics(model, x)
    for place, own in zip(system.units, found.log_own, strict=True):
        diagonals = [np.abs(np.diagonal(product))[place] for product in expected[1:]]
        np.testing.assert_allclose(np.exp(own), diagonals, rtol=1e-8, atol=1e-15)

    vectors = random_vectors(jax.random.key(0), 3, system.start.size)
    moved = np.exp(transport(model, x, vectors))
    for lag, product in enumerate(expected):
        np.testing.assert_allclose(moved[:, lag], np.linalg.norm(vectors @ product, axis=1), 1e-9)

    last = jax.jit(lambda start: dataclasses.replace(system, start=start).states(x)[-1])
    step = 1e-6
    differences = [
        (last(system.start + step * e) - last(system.start - step * e)) / (2 * step)
        for e in np.eye(system.start.size)
    ]
    np.testing.assert_allclose(np.transpose(differences), expected[-1], atol=1e-8)


@pytest.mark.parametrize("apart", [0, 1e-9, 1e-6, 1e-3, 0.5])
def test_the_largest_singular_value_needs_no_gap(apart):
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.normal(size=(20, 20)))[0] for _ in range(2))
    matrix = 3 * left @ np.diag(1 - apart * np.arange(20) / 20) @ right
    np.testing.assert_allclose(np.exp(_log_largest(jnp.asarray(matrix))), 3, rtol=1e-6)


@pytest.mark.parametrize("every", [1, 2, 4, 9])
def test_singular_values_at_some_lags_are_those_at_all(every):
    model, x = cell(LSTMCell), sequence()
    all_lags, some = jacobians(model, x), jacobians(model, x, every)
    np.testing.assert_allclose(some.log_largest, all_lags.log_largest[every - 1 :: every], 1e-12)
    np.testing.assert_allclose(some.log_own[0], all_lags.log_own[0], 1e-12)


class Henon(nnx.RNNCellBase):
    """x' = 1 - a x^2 + y, y' = b x: exponents 0.419 and ln b - 0.419 (a = 1.4, b = 0.3)."""

    def __call__(self, carry, inputs):
        del inputs
        x, y = carry
        new = jnp.stack([1 - 1.4 * x**2 + y, 0.3 * x])
        return new, new

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        del input_shape, rngs, carry_init
        return jnp.array([0.1, 0.1])

    @property
    def num_feature_axes(self):
        return 1


def test_lyapunov_exponents_of_a_known_system():
    found = lyapunov_exponents(Henon(), jnp.zeros((30_000, 1)), 2)
    assert abs(found[0] - 0.419) < 0.005
    np.testing.assert_allclose(found.sum(), np.log(0.3), atol=1e-10)


@EVERY_MODEL
def test_lyapunov_exponents_by_a_second_way(make):
    model = make()
    x = sequence(200)
    system = dynamics(model, x)
    states = system.states(x)
    size = system.start.size
    found = lyapunov_exponents(model, x, size)
    assert (jnp.diff(found) <= 0).all()
    np.testing.assert_allclose(lyapunov_exponents(model, x, 1), found[:1], atol=1e-9)
    # The sum of all exponents is the mean of log |det J_t|.
    one = jax.vmap(jax.jacrev(lambda state, now: system.step(system.params, state, now)))
    determinants = jnp.linalg.slogdet(one(states[:-1], x))[1]
    np.testing.assert_allclose(found.sum(), determinants.mean(), rtol=1e-8)
    # The largest singular value grows as exp(T lambda_1), up to a constant factor.
    largest = jacobians(model, x, 100).log_largest
    assert abs(largest[-1] - 200 * found[0]) < 5
