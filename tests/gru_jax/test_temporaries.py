"""The memory that compiled programs plan for, beside their arguments and results."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from gru_jax import RNN, GRUCell
from gru_jax.diagnostics import jacobians
from tests.recurrent_models import cell, sequence

pytestmark = pytest.mark.usefixtures("least_effort")

D = 2


def temporaries(rnn, time, batch=32):
    """Bytes that the compiled gradient of the last state plans for, beside what it is given."""
    graph, params, rest = nnx.split(rnn, nnx.Param, ...)
    run = lambda params, x: nnx.merge(graph, params, rest, copy=True)(x, return_carry=True)
    loss = lambda params, x: jnp.sum(run(params, x)[0] ** 2)
    inputs = jax.ShapeDtypeStruct((time, batch, D), jnp.float32)
    program = jax.jit(jax.grad(loss)).lower(params, inputs).compile()
    return program.memory_analysis().temp_size_in_bytes


def test_batched_is_below_nnx_and_recomputed_at_a_third():
    """And recomputed takes hardly more for more steps."""
    gru = lambda: GRUCell(D, 64, rngs=nnx.Rngs(0))
    ours = lambda gradient, time, **options: temporaries(
        RNN(gru(), gradient=gradient, time_major=True, **options), time
    )
    theirs = temporaries(nnx.RNN(nnx.GRUCell(D, 64, rngs=nnx.Rngs(0)), time_major=True), 400)
    assert ours("batched", 400) < theirs
    assert ours("recomputed", 400, segment=20) < theirs / 3
    long, longer = (ours("recomputed", time, segment=20) for time in (400, 4000))
    added = (4000 - 400) / 20 * 32 * 64 * 4  # the carries between the segments
    assert longer - long < 1.1 * added


@pytest.mark.usefixtures("x64")
def test_transport_holds_no_jacobian_a_step():
    def temporary(time):
        model, x = cell(GRUCell, hidden=32), sequence(time)
        run = jax.jit(lambda x: jacobians(model, x, 8).log_largest)
        return run.lower(x).compile().memory_analysis().temp_size_in_bytes

    grown = temporary(1024) - temporary(256)
    assert grown < 768 * 32 * 32 * 8 / 4
