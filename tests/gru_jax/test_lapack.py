"""LAPACK is called with one matrix at a time wherever several devices may call it at once."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import Adding, Experiment, LSTMCell, SequenceModel, VanillaCell, lapack, training
from gru_jax.devices import make_mesh
from gru_jax.diagnostics import input_response, lyapunov_exponents, vanilla_bound
from tests.helpers import equations

ROUTINES = ("qr", "svd")
BATCH = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)


def shapes(function, *arguments):
    """Of all matrices that a program gives to LAPACK."""
    calls = equations(jax.make_jaxpr(function)(*arguments).jaxpr, ROUTINES)
    return [call.invars[0].aval.shape for call in calls]


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (lapack.qr, lambda a: tuple(jnp.linalg.qr(a))),
        (lapack.largest_singular_value, lambda a: jnp.linalg.norm(a, ord=2)),
        (lambda a: lapack.least_squares(a, a @ a[0]), lambda a: jnp.linalg.lstsq(a, a @ a[0])[0]),
    ],
)
def test_a_batch_is_taken_apart_and_the_values_are_the_same(ours, plain):
    over = lambda function: jax.vmap(jax.vmap(function))
    assert shapes(over(plain), BATCH) == [BATCH.shape]
    assert shapes(over(ours), BATCH) == [BATCH.shape[-2:]]
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, atol=1e-5),
        over(ours)(BATCH),
        over(plain)(BATCH),
    )


def test_a_population_starts_so():
    task = Adding(8)
    build = lambda rngs: SequenceModel(
        LSTMCell, 2, 1, hidden_sizes=(6, 5), readout="last", rngs=rngs
    )
    experiment = Experiment(task, build, batch_size=8, evaluation_examples=16)
    start = lambda: training.init(experiment, make_mesh(4, 1), (0, 1, 2, 3), (0.1,) * 4, (1.0,) * 4)
    assert shapes(start) == [(6, 6)] * 4 + [(5, 5)] * 4


def test_so_is_a_population_measured():
    cell = VanillaCell(3, 4, rngs=nnx.Rngs(0))

    def measure(inputs):
        bound = vanilla_bound(cell, inputs)
        return bound, lyapunov_exponents(cell, inputs, 2), input_response(bound, inputs)

    found = shapes(jax.vmap(measure), jnp.ones((3, 9, 3)))
    assert len(found) == 4
    assert all(len(shape) == 2 for shape in found)
