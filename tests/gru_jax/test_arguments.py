"""What recurrences are called with: taken as documented, or refused in one sentence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import RNN, GRUCell, LSTMCell, SequenceModel
from tests.helpers import randomise

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("least_effort")]

BATCH, TIME, D, H = 4, 6, 3, 5
X = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, TIME, D)), jnp.float32)
LENGTHS = np.array([6, 0, 2, 5])
RESETS = np.zeros((BATCH, TIME), bool)
RESETS[0, 3] = RESETS[3, 2] = True


def model_of(make=GRUCell, **options):
    options = {"hidden_sizes": (H, 2), "readout": "every", **options}
    return randomise(SequenceModel(make, D, 2, rngs=nnx.Rngs(0), **options))


RUNS = {
    "RNN": RNN(randomise(GRUCell(D, H, rngs=nnx.Rngs(0)))),
    "model": model_of(),
    "both ways": model_of(bidirectional=True),
}
EVERY_RUN = pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)


@EVERY_RUN
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("seq_lengths", LENGTHS[:, None], r"shape \(4, 1\) .* \(4, 6, .\): must be \(4,\)$"),
        ("seq_lengths", np.ones((BATCH, TIME), bool), "of kind bool: must be whole numbers$"),
        ("seq_lengths", LENGTHS * 1.0, "of kind float32: must be whole numbers$"),
        ("seq_lengths", LENGTHS[:1], r"shape \(1,\) .*: must be \(4,\)$"),
        ("seq_lengths", 3, r"shape \(\) .*: must be \(4,\)$"),
        ("seq_lengths", [6, 0, 2, 7], r"contain 7: must be in 0\.\.6"),
        ("seq_lengths", [6, 0, 2, -1], r"contain -1: must be in 0\.\.6"),
        ("seq_lengths", np.array([6, 0, 2, 2**32 + 1]), r"contain 4294967297: must be in 0\.\.6"),
        ("seq_lengths", [[1], [2, 3]], "are a list that makes no array"),
        ("resets", 1 * RESETS, "of kind int32: must be booleans$"),
        ("resets", 1.0 * RESETS, "of kind float32: must be booleans$"),
        ("resets", RESETS[..., None], r"shape \(4, 6, 1\) .*: must be \(4, 6\)$"),
        ("resets", RESETS[0], r"shape \(6,\) .*: must be \(4, 6\)$"),
        ("initial_carry", np.zeros((BATCH, H + 1)), "initial_carry has shapes .*: must have .*"),
        ("initial_carry", [np.zeros((BATCH, H))], "initial_carry has shapes .*: must have .*"),
        ("initial_carry", 3, r"initial_carry has shapes \(\): must have .*"),
        ("return_carry", "every", "return_carry = 'every': must be True, False or \"all\""),
    ],
)
def test_bad_arguments(run, name, value, message):
    for options in ({}, {"resets": RESETS}, {"seq_lengths": LENGTHS}):
        with pytest.raises(ValueError, match=message) as caught:
            run(X, **{**options, name: value})
        assert "\n" not in str(caught.value)


@EVERY_RUN
def test_lists_and_numpy_numbers_are_taken(run):
    expected = run(X, seq_lengths=jnp.asarray(LENGTHS), resets=jnp.asarray(RESETS))
    found = run(X.tolist(), seq_lengths=list(LENGTHS.astype(np.uint8)), resets=RESETS.tolist())
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("reverse", [False, True])
def test_lengths_out_of_range_are_clamped_where_values_are_not_known(reverse):
    run = jax.jit(lambda lengths: RUNS["RNN"](X, seq_lengths=lengths, reverse=reverse))
    for kind in (np.int32, np.int8):
        found = run(np.array([TIME + 3, -1, 2, 5], kind))
        np.testing.assert_array_equal(found, run(np.array([TIME, 0, 2, 5], kind)))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("make", [GRUCell, LSTMCell])
@pytest.mark.parametrize("both", [False, True])
def test_carries_of_other_models(make, both):
    model = model_of(make, bidirectional=both)
    carry = model.initialize_carry((BATCH,))
    np.testing.assert_array_equal(model(X, initial_carry=carry), model(X))
    for other in (
        carry[:1],
        (*carry, carry[1]),
        list(carry),
        (carry[0], None),
        carry[0],
        model.initialize_carry((1,)),
        model.initialize_carry(()),
        model_of(make, hidden_sizes=(H, 3), bidirectional=both).initialize_carry((BATCH,)),
        jax.tree.map(lambda leaf: leaf.astype(jnp.complex64), carry),
    ):
        with pytest.raises(ValueError, match=r"^initial_carry .*must") as caught:
            model(X, initial_carry=other)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoder", ["one_hot", "embedding", "scalar"])
def test_inputs_of_encoders(encoder):
    model = model_of(encoder=encoder)
    tokens = np.random.default_rng(0).integers(0, D, (BATCH, TIME))
    outputs = model(tokens.astype(np.uint8))
    np.testing.assert_array_equal(model(tokens.tolist()), outputs)
    for bad, message in (
        (tokens[..., None], r"shape \(4, 6, 1\): tokens must be \(\*batch, time\)$"),
        (tokens + 1, r"contain 3: must be in 0\.\.2, the kinds of tokens$"),
        (tokens * 1.0, "of kind float32: must be tokens, which are whole numbers$"),
        (2, r"shape \(\): tokens"),
    ):
        with pytest.raises(ValueError, match=f"^inputs .*{message}"):
            model(bad)
    # A caller who feeds a step at a time gives a carry, which says how many batch axes there are.
    carry = model.initialize_carry((2, 2))
    step = model(tokens[:, :1].reshape(2, 2, 1), initial_carry=carry)
    np.testing.assert_allclose(step.reshape(4, 1, 2), outputs[:, :1], atol=1e-6)
    with pytest.raises(ValueError, match="initial_carry has shapes"):
        model(tokens[..., None], initial_carry=model.initialize_carry((BATCH,)))


def test_inputs_that_are_no_numbers():
    for bad, message in (
        (X * 1j, "inputs are of kind complex64: must be real numbers"),
        ([["word"]], "inputs are a list that makes no array"),
        (X[..., :2], r"inputs have shape \(4, 6, 2\): the cell needs a time axis and 3 features"),
    ):
        for run in RUNS.values():
            with pytest.raises(ValueError, match=message):
                run(bad)


def test_shapes_of_carries():
    cell, rnn = GRUCell(D, H, rngs=nnx.Rngs(0)), RUNS["RNN"]
    assert cell.initialize_carry([np.int64(2), D]).shape == (2, H)
    assert rnn.initialize_carry((2,)).shape == (2, H)
    with pytest.raises(
        ValueError, match=r"input_shape = \(4,\): must be \(\*batch, 3\), the shape"
    ):
        cell.initialize_carry((BATCH,))
    with pytest.raises(TypeError, match=r"input_shape is of type Rngs: must be \(\*batch, 3\)"):
        cell.initialize_carry(nnx.Rngs(0), (BATCH, D))
    for run in RUNS.values():
        with pytest.raises(TypeError, match="batch is of type int: must be the sizes of the lead"):
            run.initialize_carry(4)
        with pytest.raises(ValueError, match=r"batch = \(-1,\): must be the sizes"):
            run.initialize_carry((-1,))


@pytest.mark.parametrize("size", [0, -1, 2.0])
def test_output_sizes(size):
    with pytest.raises(ValueError, match=f"output_size = {size}: must be a whole number"):
        SequenceModel(GRUCell, D, size, hidden_sizes=(H,), rngs=nnx.Rngs(0))
