"""Settings of JAX that careful users switch on, and axes over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from gru_jax import LSTMCell, SequenceModel
from gru_jax.cells import MinGRUCell
from tests.helpers import CLASSIC, agree, randomise, split

BATCH, TIME, D = 4, 6, 3
X = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, TIME, D)), jnp.float32)
LENGTHS, RESETS = jnp.array([6, 0, 2, 5]), jnp.zeros((BATCH, TIME), bool).at[0, 3].set(True)


def model_of(make, **options):
    options = {"hidden_sizes": (5, 2), "rngs": nnx.Rngs(0), **options}
    return randomise(SequenceModel(make, D, 2, **options))


@pytest.mark.parametrize("make", CLASSIC.values())
def test_no_operands_of_different_rank(make):
    run, params = split(model_of(make, hidden_sizes=(5,), bidirectional=True))
    loss = lambda params: run(params, X, seq_lengths=LENGTHS, resets=RESETS).sum()
    with jax.numpy_rank_promotion("raise"):
        jax.eval_shape(jax.grad(loss), params)


@pytest.mark.parametrize("make", [LSTMCell, MinGRUCell])
def test_examples_over_devices(make):
    """Under `shard_map` with its default checks, and where types say how arrays are divided."""
    run, params = split(model_of(make, hidden_sizes=(2,)))
    over = lambda apply: lambda params, *data: jnp.sum(jnp.sin(apply(params, *data)))
    apply = lambda params, x, lengths, resets: run(params, x, seq_lengths=lengths, resets=resets)
    expected = jax.jit(jax.value_and_grad(over(apply)))(params, X, LENGTHS, RESETS)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        mapped = jax.shard_map(apply, in_specs=(P(), *[P("batch")] * 3), out_specs=P("batch"))
        data = jax.device_put((X, LENGTHS, RESETS), NamedSharding(mesh, P("batch")))
        for each in (mapped, apply):
            agree(jax.jit(jax.value_and_grad(over(each)))(params, *data), expected, 1e-5)
