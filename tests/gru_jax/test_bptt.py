"""Batched and recomputed gradients: the plain scan's values, gradients and more, in less memory."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.core import jaxprs_in_params

from gru_jax import RNN, GRUCell, LSTMCell, SequenceModel, VanillaCell, scan
from gru_jax.bptt import loops
from gru_jax.bptt.loops import CACHED, ROWS, ROWS_A_UNIT, SEGMENTS, segment_length
from tests.gru_jax.test_cells import GRU_OPTIONS, LSTM_OPTIONS
from tests.helpers import CLASSIC, agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

B, T, D, H = 3, 7, 2, 4
LENGTHS, RESETS = (
    jnp.array([7, 0, 4]),
    jnp.zeros((B, T), bool).at[0, 3].set(True).at[2, 0].set(True),
)
LEARNED = {"learn_initial_state": True}
EVERY_OPTION = [
    *((GRUCell, options) for options in (*GRU_OPTIONS, {"update": "keep"}, LEARNED)),
    *((LSTMCell, options) for options in ({}, *LSTM_OPTIONS, LEARNED)),
    *((VanillaCell, options) for options in ({}, {"bias": "none", "activation": "relu"}, LEARNED)),
]


def losses(make, options, gradient, segment=3, masked=True, reverse=False, outputs=True):
    """A loss that hears every number that a run returns, of parameters, inputs and carry."""
    cell = randomise(make(D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0), **options))
    graph, params = nnx.split(cell)
    generator = np.random.default_rng(0)
    inputs = jnp.asarray(generator.normal(size=(B, T, D)))
    draw = lambda leaf: jnp.asarray(generator.normal(size=leaf.shape))
    carry = jax.tree.map(draw, cell.initialize_carry((B, D)))
    weights = generator.normal(size=(B, T, H))
    flags = {"seq_lengths": LENGTHS, "resets": RESETS} if masked else {}

    def loss(params, inputs, carry):
        rnn = RNN(nnx.merge(graph, params), gradient=gradient, segment=segment, return_carry=True)
        end, seen = rnn(inputs, initial_carry=carry, reverse=reverse, keep_order=True, **flags)
        value = sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(end))
        return value + jnp.sum(weights * seen) if outputs else value

    return loss, (params, inputs, carry)


def both(*arguments, **options):
    loss, at = losses(*arguments, **options)
    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))(*at)


@pytest.mark.parametrize(("make", "options"), EVERY_OPTION)
@pytest.mark.usefixtures("x64")
def test_values_and_gradients_are_the_plain_scans(make, options):
    found, expected = both(make, options, "batched"), both(make, options, "plain")
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, found, expected)


@pytest.mark.parametrize(("make", "options"), EVERY_OPTION)
@pytest.mark.parametrize("segment", [0, 1, 3])  # together; 7 steps are no multiple of 3
@pytest.mark.usefixtures("x64")
def test_values_where_no_gradient_is_wanted_are_the_plain_scans(
    make, options, segment, monkeypatch
):
    if segment:
        monkeypatch.setattr(loops, "WHOLE", 0)
    found = [
        jax.jit(loss)(*at)
        for reverse in (False, True)
        for gradient in ("batched", "plain")
        for loss, at in [losses(make, options, gradient, segment, reverse=reverse)]
    ]
    np.testing.assert_allclose(found[::2], found[1::2], rtol=1e-9, atol=1e-12)


def multiplied(jaxpr, loops=0):
    """For each matrix product, in how many loops it is, and the rows that it has."""
    for equation in jaxpr.eqns:
        if equation.primitive is jax.lax.dot_general_p:
            yield loops, equation.invars[0].aval.shape
        inside = loops + (equation.primitive is jax.lax.scan_p)
        for each in jaxprs_in_params(equation.params):
            yield from multiplied(each, inside)


@pytest.mark.parametrize("make", CLASSIC.values())
@pytest.mark.parametrize("segment", [1, 2])
def test_where_no_gradient_is_wanted_the_products_of_inputs_are_computed_ahead(
    make, segment, monkeypatch
):
    def found():
        rnn = RNN(make(D, H, rngs=nnx.Rngs(0)), segment=segment)
        return {*multiplied(jax.make_jaxpr(rnn)(jnp.zeros((B, 2 * T, D))).jaxpr)}

    assert found() == {(0, (2 * T * B, D)), (1, (B, H))}  # all of a short sequence
    monkeypatch.setattr(loops, "WHOLE", 2 * T * B * H - 1)
    assert found() == {(1, (2 * B, D)), (2, (B, H))}


@pytest.mark.parametrize("make", CLASSIC.values())
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.usefixtures("x64")
def test_whatever_the_segment_and_the_direction(make, masked):
    options = {"reverse": masked, "masked": masked}
    expected = both(make, {}, "plain", **options)
    for segment in (0, 5):  # all steps together; some left over
        agree(both(make, {}, "recomputed", segment=segment, **options), expected, 1e-9)
    expected = both(make, {}, "plain", masked=masked, outputs=False)
    agree(both(make, {}, "batched", segment=1, masked=masked, outputs=False), expected, 1e-9)


@pytest.mark.usefixtures("x64")
def test_under_vmap_and_twice():
    """A population is vmapped; a gradient of a gradient is what some regularisers need."""
    loss, (params, inputs, carry) = losses(GRUCell, {}, "batched")
    plain, _ = losses(GRUCell, {}, "plain")
    several = jax.tree.map(lambda a: jnp.stack([a, 0.5 * a]), params)
    slopes = lambda loss: jax.jit(jax.vmap(jax.grad(loss), in_axes=(0, None, None)))
    over = lambda loss: slopes(loss)(several, inputs, carry)
    agree(over(loss), over(plain), 1e-9)
    norm = lambda loss: lambda x: jnp.sum(jax.grad(loss, 1)(params, x, carry) ** 2)
    twice = lambda loss: jax.jit(jax.grad(norm(loss)))(inputs)
    agree(twice(loss), twice(plain), 1e-8)


@pytest.mark.usefixtures("x64")
def test_what_padding_holds_reaches_nothing():
    loss, (params, inputs, carry) = losses(GRUCell, {}, "batched")
    poisoned = inputs.at[2, 5].set(jnp.nan)
    slopes = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))
    gradients = slopes(params, poisoned, carry)
    agree(gradients[0], slopes(params, inputs, carry)[0], 1e-6)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))


@pytest.mark.parametrize("make", CLASSIC.values())
@pytest.mark.usefixtures("x64")
def test_activations_and_their_gradients_are_the_plain_scans(make):
    cell = randomise(make(D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))
    graph, params = nnx.split(cell)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)))

    def found(gradient):
        def loss(params):
            rnn = RNN(nnx.merge(graph, params), gradient=gradient, segment=3)
            seen, gates = rnn(x, seq_lengths=LENGTHS, return_activations=True)
            return jnp.sum(seen**2) + sum(jnp.sum(jnp.sin(a)) for a in gates.values())

        return jax.jit(jax.value_and_grad(loss))(params)

    agree(found("batched"), found("plain"), 1e-9)


def test_a_batch_of_no_examples_has_gradients_of_zero():
    graph, params = nnx.split(RNN(GRUCell(D, H, rngs=nnx.Rngs(0))))
    found = jax.grad(lambda params, x: nnx.merge(graph, params)(x).sum())(
        params, jnp.ones((0, T, D))
    )
    assert not any(jnp.any(leaf) for leaf in jax.tree.leaves(found))


def test_no_steps_are_none():
    rnn = RNN(randomise(GRUCell(D, H, rngs=nnx.Rngs(0))), gradient="batched")
    assert rnn(jnp.ones((B, 0, D))).shape == (B, 0, H)


@pytest.mark.parametrize("make", [nnx.GRUCell, nnx.OptimizedLSTMCell, nnx.LSTMCell, nnx.SimpleCell])
def test_cells_of_flax_as_they_are(make):
    """Values and gradients of `nnx.RNN`, and what that lacks: exact lengths, and resets."""
    cell = randomise(make(D, H, rngs=nnx.Rngs(0)))
    graph, params, rest = nnx.split(cell, nnx.Param, ...)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)

    def slopes(run):
        loss = lambda params: jnp.sum(jnp.sin(run(nnx.merge(graph, params, rest))))
        return jax.jit(jax.value_and_grad(loss))(params)

    theirs = lambda cell: nnx.RNN(cell)(x)
    # An episode that starts at step 3 is a sequence of its own; what is beyond 4 is padding.
    apart = lambda cell: jnp.concatenate(
        [
            nnx.RNN(cell)(x[:1, :3])[0],
            nnx.RNN(cell)(x[:1, 3:])[0],
            nnx.RNN(cell)(x[2:, :4])[0],
        ]
    )
    whole, parts = slopes(theirs), slopes(apart)
    for gradient in ("auto", "plain", "recomputed"):
        ours = lambda cell, gradient=gradient: RNN(cell, gradient=gradient, segment=3)(x)
        agree(slopes(ours), whole, 1e-5)
        masked = lambda cell, gradient=gradient: RNN(cell, gradient=gradient, segment=3)(
            x, seq_lengths=LENGTHS, resets=RESETS
        )
        agree(slopes(masked), parts, 1e-5)
    assert jnp.all(masked(cell)[1] == 0)
    with pytest.raises(ValueError, match=f"^{make.__name__} has no activations: must be a Cell"):
        RNN(cell)(x, return_activations=True)


def test_a_model_of_cells_of_flax():
    model = SequenceModel(nnx.OptimizedLSTMCell, D, 2, hidden_sizes=(H, H), rngs=nnx.Rngs(0))
    carry, outputs = model(jnp.ones((B, T, D)), return_carry=True)
    np.testing.assert_allclose(outputs, model.readout(carry[1][1]), rtol=1e-6)
    assert jax.tree.map(jnp.shape, model.initialize_carry((B,))) == jax.tree.map(jnp.shape, carry)


def test_products_in_bfloat16():
    """Gradients add up in float32, as in the plain scan: equal to bfloat16's eight bits."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)

    def gradients(gradient):
        cell = randomise(GRUCell(D, 16, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)))
        rnn = RNN(cell, gradient=gradient)
        return nnx.jit(nnx.value_and_grad(lambda rnn: jnp.sum(rnn(x) ** 2)))(rnn)

    def close(found, expected):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(found, expected, atol=2**-7 * np.abs(expected).max())

    jax.tree.map(close, gradients("batched"), gradients("plain"))


def test_a_layer_above_and_a_bidirectional_model():
    def gradients(gradient):
        options = {"hidden_sizes": (H, H), "bidirectional": True, "gradient": gradient}
        model = randomise(SequenceModel(LSTMCell, D, 2, rngs=nnx.Rngs(0), segment=3, **options))
        x = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)
        loss = lambda model: jnp.sum(model(x, seq_lengths=LENGTHS) ** 2)
        return nnx.jit(nnx.value_and_grad(loss))(model)

    value, expected = gradients("plain")
    found = gradients("batched")
    np.testing.assert_allclose(found[0], value, rtol=1e-5)
    close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
    jax.tree.map(close, found[1], expected)


@pytest.mark.parametrize("hidden", [16, 128, 512])
def test_a_segment_has_rows_for_its_products_and_fits_a_cache(hidden):
    enough = min(ROWS, ROWS_A_UNIT * hidden)
    for time, batch in ((199, 32), (751, 50), (101, 1), (3, 64), (53, 4096)):
        length = segment_length(time, [np.zeros((batch, hidden)), np.zeros(batch)])
        most = -(-time // SEGMENTS)
        assert 1 <= length <= most
        if length < most:
            assert (length + 1) * batch > enough
            assert (length + 1) * batch * hidden > CACHED
        if length > 1:
            assert length * batch <= enough or length * batch * hidden <= CACHED


def test_a_segment_divides_the_sequence_where_that_hardly_shortens_it():
    state = [np.zeros((4, 128))]
    lengths = {time: segment_length(time, state) for time in (1009, 1000, 640, 2 * 509)}
    assert lengths == {1009: 64, 1000: 50, 640: 64, 2 * 509: 64}


@pytest.mark.parametrize("gradient", ["plain", "batched", "recomputed"])
def test_numbers_of_python_are_a_carry(gradient):
    def step(carry, x):
        total, count = carry
        return (jnp.tanh(total * w + x), count + 1), total

    w, xs = jnp.float32(0.7), jnp.arange(4.0)
    of = lambda start: scan(step, start, xs, gradient=gradient, segment=2)
    found, expected = of((0.5, 3)), jax.lax.scan(step, (0.5, 3), xs)
    agree(found, expected, 1e-6)
    kinds = lambda tree: [a.dtype for a in jax.tree.leaves(tree)]
    assert kinds(found) == kinds(expected)
    slope = jax.grad(lambda start: of((start, 3))[0][0])
    agree(slope(0.5), jax.grad(lambda s: jax.lax.scan(step, (s, 3), xs)[0][0])(0.5), 1e-6)
