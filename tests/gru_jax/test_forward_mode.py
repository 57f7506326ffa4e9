"""Derivatives in forward mode: as documented, or one message that says what to do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import GRUCell, SequenceModel

ADVICE = r'^forward-mode differentiation \(jax.jvp, jax.jacfwd\) needs gradient="plain"'


def model_of(gradient="auto"):
    return SequenceModel(GRUCell, 2, 1, hidden_sizes=(3,), gradient=gradient, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("batch", [2, 8])
def test_the_message_is_the_same_at_any_size_and_under_jit(batch):
    model, x = model_of(), jnp.ones((batch, 4, 2))
    jvp = lambda run, x: jax.jvp(run, (x,), (x,))
    for call in (
        lambda: jvp(model, x),
        lambda: jvp(jax.jit(model), x),
        lambda: jax.jit(functools.partial(jvp, model))(x),
        lambda: jax.jacfwd(model)(x),
        lambda: jax.jit(jax.jacfwd(model))(x),
        lambda: jax.linearize(model, x)[1](x),
    ):
        with pytest.raises(TypeError, match=ADVICE):
            call()


def test_forward_mode_over_reverse_mode_works():
    plain, x = model_of("plain"), jnp.ones((2, 4, 2))
    product = lambda model: jax.jvp(jax.grad(lambda x: jnp.sum(model(x) ** 2)), (x,), (x,))[1]
    found = jax.jit(lambda: product(model_of()))()
    np.testing.assert_allclose(found, jax.jit(lambda: product(plain))(), atol=1e-6)
