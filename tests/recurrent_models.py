"""The models, and the inputs, that diagnostics are tested on: small, with random parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import GRUCell, LSTMCell, SequenceModel, VanillaCell
from tests.helpers import randomise

D, H, T = 3, 4, 9
DOUBLE = {"param_dtype": jnp.float64}


def cell(kind, hidden=H, seed=0, **options):
    return randomise(kind(D, hidden, **DOUBLE, rngs=nnx.Rngs(0), **options), seed)


def stacked(kind, seed=0, **options):
    options = {"hidden_sizes": (3, 2), "readout": "last"} | options
    make = functools.partial(kind, **DOUBLE)
    return randomise(SequenceModel(make, D, 2, **options, rngs=nnx.Rngs(0)), seed)


def sequence(length=T, features=D, seed=0, scale=1.0):
    return jnp.asarray(np.random.default_rng(seed).normal(0, scale, (length, features)))


MODELS = {
    "gru": lambda: cell(GRUCell),
    "gru before": lambda: cell(GRUCell, reset_after=False, update_gate="write"),
    "lstm": lambda: cell(LSTMCell),
    "vanilla": lambda: cell(VanillaCell),
    "two layers": lambda: stacked(GRUCell),
    "two lstm": lambda: stacked(LSTMCell),
    "nnx gru": lambda: randomise(nnx.GRUCell(D, H, **DOUBLE, rngs=nnx.Rngs(0))),
    "nnx lstm": lambda: randomise(nnx.OptimizedLSTMCell(D, H, **DOUBLE, rngs=nnx.Rngs(0))),
}
EVERY_MODEL = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


def over_models(models, measure):
    """`measure`, a function of a model and an input, for all models and their inputs at once."""
    graph = nnx.split(models[0])[0]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[nnx.state(m) for m in models])
    over = jax.jit(jax.vmap(lambda params, x: measure(nnx.merge(graph, params), x)))
    return lambda x: over(params, x)
