"""Programs that `jax.export` makes of models: for given sizes, and for any number of examples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import export

from gru_jax import CELLS, GRUCell, SequenceModel
from tests.helpers import agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

TIME, D = 5, 3
X = jnp.asarray(np.random.default_rng(0).normal(size=(4, TIME, D)), jnp.float32)
LENGTHS = jnp.array([5, 1, 0, 3])


def exported(run, batch):
    x = jax.ShapeDtypeStruct((batch, TIME, D), jnp.float32)
    return export.export(jax.jit(run))(x, jax.ShapeDtypeStruct((batch,), jnp.int32))


@pytest.mark.parametrize("name", CELLS)
def test_any_number_of_examples(name):
    """The smallest linear cells are among them, whose steps are taken side by side otherwise."""
    model = randomise(SequenceModel(CELLS[name], D, 2, hidden_sizes=(4,), rngs=nnx.Rngs(0)))
    run = lambda x, lengths: model(x, seq_lengths=lengths)
    program = exported(run, *export.symbolic_shape("batch"))
    for size in (1, 4):
        agree(program.call(X[:size], LENGTHS[:size]), run(X[:size], LENGTHS[:size]), 1e-5)


@pytest.mark.parametrize("options", [{"bidirectional": True}, {"gradient": "batched"}])
def test_both_ways_and_with_another_gradient(options):
    model = randomise(
        SequenceModel(GRUCell, D, 2, hidden_sizes=(4, 3), rngs=nnx.Rngs(0), **options)
    )
    run = lambda x, lengths: model(x, seq_lengths=lengths, return_carry=True)
    for batch in (*export.symbolic_shape("batch"), 4):
        agree(exported(run, batch).call(X, LENGTHS), run(X, LENGTHS), 1e-5)


def test_a_size_that_is_open_is_no_excuse_for_others():
    (batch,) = export.symbolic_shape("batch")
    cell = GRUCell(D, 4, rngs=nnx.Rngs(0))
    for shape in ((batch, 2), (batch, -1)):
        with pytest.raises(ValueError, match=r"^input_shape = \(batch, .*must be \(\*batch, 3\)"):
            cell.initialize_carry(shape)
    with pytest.raises(TypeError, match=r"^input_shape is of type tuple"):
        cell.initialize_carry((batch, 3.0))
