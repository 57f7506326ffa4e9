"""Stacks, directions, encoders and readouts."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import RNN, FieldError, GRUCell, SequenceModel, parameter_count
from tests.helpers import CLASSIC, agree, randomise

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("least_effort")]

BATCH, TIME, D, OUT = 3, 6, 2, 5


def model_of(make=GRUCell, **options):
    options = {"hidden_sizes": (4, 3), "readout": "every", **options}
    return randomise(SequenceModel(make, D, OUT, length=TIME, rngs=nnx.Rngs(0), **options))


def data(seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(BATCH, TIME, D)), jnp.float32)


@pytest.mark.parametrize("make", CLASSIC.values())
def test_layers_are_stacked(make):
    model, x = model_of(make), data()
    hidden = RNN(model.layers[1].forward.cell)(RNN(model.layers[0].forward.cell)(x))
    agree(model(x), model.readout(hidden), 1e-6)


@pytest.mark.parametrize("make", CLASSIC.values())
def test_bidirectional_layers_see_both_ways(make):
    model, x, lengths = model_of(make, bidirectional=True), data(), jnp.array([6, 2, 4])
    hidden = x
    for layer in model.layers:
        hidden = nnx.Bidirectional(RNN(layer.forward.cell), RNN(layer.backward.cell))(
            hidden, seq_lengths=lengths
        )
    agree(model(x, seq_lengths=lengths), model.readout(hidden), 1e-6)


def test_last_is_the_end_of_each_sequence_in_each_direction():
    lengths = jnp.array([6, 2, 4])
    one_way = model_of(readout="last")
    every = RNN(one_way.layers[1].forward.cell)(RNN(one_way.layers[0].forward.cell)(data()))
    ends = every[jnp.arange(BATCH), lengths - 1]
    agree(one_way(data(), seq_lengths=lengths), one_way.readout(ends), 1e-5)

    both = model_of(readout="last", bidirectional=True, hidden_sizes=(4,))
    there = RNN(both.layers[0].forward.cell)(data())[jnp.arange(BATCH), lengths - 1]
    back = RNN(both.layers[0].backward.cell, reverse=True, keep_order=True)(
        data(), seq_lengths=lengths
    )[:, 0]
    agree(both(data(), seq_lengths=lengths), both.readout(jnp.concatenate([there, back], -1)), 1e-5)


def test_flatten_puts_one_step_behind_the_other():
    model = model_of(readout="flatten")
    _, hidden, _ = model.recur(data())
    steps = jnp.concatenate([hidden[:, step] for step in range(TIME)], axis=-1)
    agree(model(data()), model.readout(steps), 1e-6)
    with pytest.raises(ValueError, match=f"{TIME - 1} steps: must have {TIME}, the model's length"):
        model(data()[:, 1:])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("readout", "shape"),
    [("last", (BATCH, OUT)), ("every", (BATCH, TIME, OUT)), ("flatten", (BATCH, OUT))],
)
def test_shapes(bidirectional, readout, shape):
    assert model_of(readout=readout, bidirectional=bidirectional)(data()).shape == shape


@pytest.mark.parametrize("make", CLASSIC.values())
def test_one_step_at_a_time_is_all_at_once(make):
    model = model_of(functools.partial(make, learn_initial_state=True))
    ended = jnp.zeros((BATCH, TIME), bool).at[1, 3].set(True)
    carry, actions = model.initialize_carry((BATCH,)), []
    for t in range(TIME):
        carry, action = model(
            data()[:, t : t + 1], initial_carry=carry, resets=ended[:, t : t + 1], return_carry=True
        )
        actions.append(action[:, 0])
    together, outputs = model(data(), resets=ended, return_carry=True)
    agree((carry, jnp.stack(actions, 1)), (together, outputs), 1e-5)


@pytest.mark.parametrize("padded", [False, True])
def test_resets_part_a_bidirectional_model_into_episodes(padded):
    model, cut = model_of(bidirectional=True), 2
    resets = jnp.zeros((BATCH, TIME), bool).at[:, cut].set(True)
    lengths = jnp.full(BATCH, 5 if padded else TIME)
    together = model(data(), resets=resets, seq_lengths=lengths)
    first, second = model(data()[:, :cut]), model(data()[:, cut:], seq_lengths=lengths - cut)
    agree(together[:, :5], jnp.concatenate([first, second], 1)[:, :5], 1e-5)
    beyond = resets.at[:, 5].set(padded)
    agree(model(data(), resets=beyond, seq_lengths=lengths)[:, :5], together[:, :5], 1e-6)


def test_carry_of_a_bidirectional_model():
    model = model_of(bidirectional=True)
    carry, outputs = model(
        data(), initial_carry=model.initialize_carry((BATCH,)), return_carry=True
    )
    np.testing.assert_array_equal(outputs, model(data()))
    assert jax.tree.structure(carry) == jax.tree.structure(model.initialize_carry((BATCH,)))


def test_activations_come_layer_by_layer():
    carry, outputs, activations = model_of()(data(), return_carry=True, return_activations=True)
    assert [gates["update"].shape for gates in activations] == [(BATCH, TIME, 4), (BATCH, TIME, 3)]
    assert len(carry) == 2
    assert outputs.shape == (BATCH, TIME, OUT)


TOKENS = jnp.array([[0, 1, 1], [2, 0, 2]])


def test_tokens_as_unit_vectors_are_rows_of_the_kernel():
    model = SequenceModel(GRUCell, 3, 1, hidden_sizes=(4,), encoder="one_hot", rngs=nnx.Rngs(0))
    kernel = model.layers[0].forward.cell.reset.kernel[...]
    np.testing.assert_allclose(model.encoder(TOKENS) @ kernel, kernel[TOKENS], atol=1e-6)


def test_tokens_as_learned_vectors_and_as_numbers():
    make = lambda encoder: SequenceModel(
        GRUCell, 3, 1, hidden_sizes=(4,), encoder=encoder, embedding_size=5, rngs=nnx.Rngs(0)
    )
    embedding = make("embedding")
    np.testing.assert_array_equal(
        embedding.encoder(TOKENS), embedding.encoder.embedding.embedding[...][TOKENS]
    )
    assert embedding(TOKENS).shape == (2, 1)
    scalar = make("scalar")
    np.testing.assert_array_equal(scalar.encoder(TOKENS)[..., 0], TOKENS)
    assert scalar(TOKENS).shape == (2, 1)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
@pytest.mark.usefixtures("x64")
def test_embedding_and_readout_are_stored_as_the_cells_are(dtype):
    build = lambda **options: SequenceModel(
        functools.partial(GRUCell, **options),
        3,
        2,
        hidden_sizes=(4,),
        encoder="embedding",
        rngs=nnx.Rngs(0),
    )
    model, usual = build(param_dtype=dtype), build(param_dtype=jnp.float32)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {jnp.dtype(dtype)}
    assert model.encoder(TOKENS).dtype == dtype
    assert model(TOKENS).dtype == (jnp.float64 if dtype is jnp.float64 else usual(TOKENS).dtype)
    rounded = usual.readout.kernel[...].astype(dtype)
    np.testing.assert_array_equal(model.readout.kernel[...], rounded)


def test_parameter_count():
    gru = lambda d, h: 3 * (d * h + h * h) + 4 * h
    assert parameter_count(model_of()) == gru(D, 4) + gru(4, 3) + 3 * OUT + OUT
    both = model_of(bidirectional=True)
    assert parameter_count(both) == 2 * gru(D, 4) + 2 * gru(8, 3) + 6 * OUT + OUT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_sizes": ()}, "hidden_sizes = .*one whole number a layer"),
        ({"hidden_sizes": 4}, "hidden_sizes = 4: must be a list"),
        ({"hidden_sizes": (4, 0)}, "hidden_sizes = 0: must be a whole number"),
        ({"readout": "first"}, "readout = 'first': must be one of last, every, flatten"),
        ({"encoder": "onehot"}, "did you mean 'one_hot'"),
        ({"encoder": "embedding", "embedding_size": 0}, "embedding_size = 0"),
        ({"bidirectional": "yes"}, "bidirectional = 'yes': must be True or False"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(FieldError, match=message):
        model_of(**options)
