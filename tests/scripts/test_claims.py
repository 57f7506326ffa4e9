"""The mathematical claims of GRU tutorials, by their number in docs/claims.md."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from gru_jax import RNN, GRUCell, LSTMCell, SequenceModel, VanillaCell, parameter_count
from gru_jax.diagnostics import random_vectors, transport
from tests.helpers import CLASSIC, agree, randomise, split, weights
from tests.reference import sigmoid

pytestmark = pytest.mark.usefixtures("least_effort")

D, H = 3, 4


READINGS = [
    {"reset_after": after, "update_gate": z} for after in (True, False) for z in ("keep", "write")
]


def gru(seed=0, **options):
    return randomise(GRUCell(D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0), **options), seed)


def data(seed=0, batch=5, time=7):
    generator = np.random.default_rng(seed)
    return jnp.asarray(generator.normal(size=(batch, time, D))), jnp.asarray(
        generator.uniform(-1, 1, size=(batch, H))
    )


def step(cell, x, h):
    return cell.step(h, x)


@given(st.integers(0, 999), st.sampled_from(READINGS))
def test_1_gates_are_sigmoids_of_their_own_weights_and_lie_in_0_1(seed, options):
    with jax.enable_x64(True):
        cell, (x, h) = gru(seed, **options), data(seed)
        _, gates = step(cell, x[:, 0], h)
        w = weights(cell)
        for name, k in (("reset", "r"), ("update", "z")):
            expected = sigmoid(
                np.asarray(x[:, 0]) @ w["W_" + k] + np.asarray(h) @ w["U_" + k] + w["b_" + k]
            )
            agree(gates[name], expected, 1e-12)
            assert (gates[name] > 0).all()
            assert (gates[name] < 1).all()


@pytest.mark.usefixtures("x64")
def test_2_reset_after_acts_on_the_product():
    cell, (x, h) = gru(reset_after=True), data()
    _, gates = step(cell, x[:, 0], h)
    w = weights(cell)
    product = np.asarray(h) @ w["U_n"] + w["c_n"]
    agree(
        gates["candidate"], np.tanh(x[:, 0] @ w["W_n"] + w["b_n"] + gates["reset"] * product), 1e-12
    )


@pytest.mark.usefixtures("x64")
def test_3_reset_before_acts_on_the_state_and_joined_weights_are_the_same():
    cell, (x, h) = gru(reset_after=False), data()
    _, gates = step(cell, x[:, 0], h)
    w = weights(cell)
    joined = np.concatenate([w["U_n"], w["W_n"]])
    both = np.concatenate([gates["reset"] * h, x[:, 0]], axis=-1)
    agree(gates["candidate"], np.tanh(both @ joined + w["b_n"]), 1e-12)
    after = gru(reset_after=True)
    assert np.abs(step(after, x[:, 0], h)[1]["candidate"] - gates["candidate"]).max() > 1e-3


@pytest.mark.parametrize("convention", ["keep", "write"])
@pytest.mark.usefixtures("x64")
def test_4_and_5_the_new_state_mixes_old_state_and_candidate(convention):
    cell, (x, h) = gru(update_gate=convention), data()
    new, gates = step(cell, x[:, 0], h)
    z, n = gates["update"], gates["candidate"]
    agree(new, z * h + (1 - z) * n if convention == "keep" else (1 - z) * h + z * n, 1e-12)


@pytest.mark.usefixtures("x64")
def test_5_write_is_keep_with_the_update_gate_negated():
    keep, write = gru(update_gate="keep"), gru(update_gate="write")
    for parameter in (write.update.kernel, write.update.recurrent_kernel, write.update.bias):
        parameter[...] = -parameter[...]
    x, h = data()
    run_keep, params_keep = split(RNN(keep))
    run_write, params_write = split(RNN(write))
    for of in (
        lambda run, params: run(params, x, initial_carry=h),
        lambda run, params: jax.grad(lambda x: jnp.sum(run(params, x, initial_carry=h) ** 2))(x),
    ):
        agree(of(run_keep, params_keep), of(run_write, params_write), 1e-12)


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.usefixtures("x64")
def test_6_without_biases_is_with_zero_biases(reading):
    without, zeroed = gru(bias="none", **reading), gru(**reading)
    for name in ("reset", "update", "candidate"):
        ours, theirs = getattr(without, name), getattr(zeroed, name)
        assert ours.bias is None
        theirs.bias[...] = jnp.zeros(H)
        theirs.kernel[...], theirs.recurrent_kernel[...] = (
            ours.kernel[...],
            ours.recurrent_kernel[...],
        )
    if zeroed.recurrent_bias is not None:
        zeroed.recurrent_bias[...] = jnp.zeros(H)
    x, h = data()
    agree(RNN(without)(x, initial_carry=h), RNN(zeroed)(x, initial_carry=h), 1e-14)


@pytest.mark.usefixtures("x64")
def test_6_a_bias_inside_the_reset_product_only():
    cell = gru(bias="recurrent")
    assert cell.recurrent_bias is not None
    assert all(gate.bias is None for gate in (cell.reset, cell.update, cell.candidate))


@given(st.integers(0, 999), st.sampled_from(READINGS), st.floats(0.1, 30))
def test_7_the_state_stays_within_minus_1_and_1(seed, options, scale):
    cell = randomise(GRUCell(D, H, rngs=nnx.Rngs(0), **options), seed, scale)
    x, h = data(seed, time=30)
    carry, gates = step(cell, x[:, 0], h)
    low, high = np.minimum(h, gates["candidate"]), np.maximum(h, gates["candidate"])
    assert (low - 1e-6 <= carry).all()
    assert (carry <= high + 1e-6).all()
    assert np.abs(RNN(cell)(10 * x, initial_carry=h)).max() <= 1 + 1e-6


@pytest.mark.parametrize("reset_after", [True, False])
@pytest.mark.usefixtures("x64")
def test_8_an_open_reset_and_a_replacing_update_make_a_vanilla_rnn(reset_after):
    pinned = gru(reset="open", update="replace", reset_after=reset_after)
    plain = VanillaCell(D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    nnx.update(plain.candidate, nnx.state(pinned.candidate))
    x, h = data()
    results = []
    for cell in (pinned, plain):
        run, params = split(RNN(cell))
        loss = lambda params, x, h, run=run: jnp.sum(jnp.sin(run(params, x, initial_carry=h)))
        results.append((loss(params, x, h), jax.grad(loss, (0, 1, 2))(params, x, h)))
    np.testing.assert_equal(
        [np.asarray(leaf) for leaf in jax.tree.leaves(results[0])],
        [np.asarray(leaf) for leaf in jax.tree.leaves(results[1])],
    )


@pytest.mark.parametrize("reading", READINGS)
def test_9_a_keeping_update_gate_carries_state_and_gradient_unchanged(reading):
    cell = GRUCell(D, H, update="keep", rngs=nnx.Rngs(0), **reading)
    assert parameter_count(cell) == 0
    x, h = data(time=500)
    last = lambda h: RNN(cell, return_carry=True)(x[0], initial_carry=h)[0]
    np.testing.assert_array_equal(last(h[0]), h[0])
    np.testing.assert_array_equal(jax.jacobian(last)(h[0]), np.eye(H))


@pytest.mark.usefixtures("x64")
def test_9_a_learned_gate_at_1_does_the_same():
    cell = gru()
    cell.update.bias[...] = jnp.full(H, 1e3)
    x, h = data(time=500)
    last = lambda h: RNN(cell, return_carry=True)(x[0], initial_carry=h)[0]
    np.testing.assert_array_equal(last(h[0]), h[0])
    np.testing.assert_array_equal(jax.jacobian(last)(h[0]), np.eye(H))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("scale", [0.5, 1.0, 1.5])
def test_10_a_linear_rnn_carries_exactly_its_scale(scale):
    options = {"activation": "identity", "scale": scale, "param_dtype": jnp.float64}
    cell = VanillaCell(D, H, rngs=nnx.Rngs(0), **options)
    carried = transport(cell, data(time=50)[0][0], random_vectors(jax.random.key(0), 3, H))
    expected = np.arange(51) * np.log(scale)
    np.testing.assert_allclose(carried, np.broadcast_to(expected, (3, 51)), atol=1e-12)


@given(st.integers(1, 9), st.integers(1, 9))
def test_11_a_gru_has_three_quarters_of_the_weights_of_an_lstm(d, h):
    count = lambda make, **options: parameter_count(
        nnx.eval_shape(lambda: make(d, h, rngs=nnx.Rngs(0), **options))
    )
    weights_of_a_gate = d * h + h * h
    assert count(GRUCell, bias="none") * 4 == count(LSTMCell, bias="none") * 3
    assert count(VanillaCell, bias="none") == weights_of_a_gate
    assert count(GRUCell) == 3 * weights_of_a_gate + 4 * h
    assert count(GRUCell, reset_after=False) == 3 * (weights_of_a_gate + h)
    assert count(LSTMCell) == 4 * (weights_of_a_gate + h)
    assert count(GRUCell, reset="open") == 2 * (weights_of_a_gate + h)
    assert count(GRUCell, update="constant") == 2 * weights_of_a_gate + 4 * h


@pytest.mark.parametrize("sizes", [(1, 3), (64, 32)])
def test_11_a_gru_has_one_state_and_three_quarters_of_the_products_of_a_step(sizes):
    def multiplications(make):
        cell = make(*sizes, rngs=nnx.Rngs(0))
        step = lambda carry, x: cell(carry, x)
        program = jax.make_jaxpr(step)(
            cell.initialize_carry((7, sizes[0])), jnp.ones((7, sizes[0]))
        )
        products = [e for e in program.eqns if e.primitive.name == "dot_general"]
        return sum(e.outvars[0].aval.size * e.invars[0].aval.shape[-1] for e in products)

    assert multiplications(LSTMCell) == 4 * 7 * sizes[1] * sum(sizes)
    assert 4 * multiplications(GRUCell) == 3 * multiplications(LSTMCell)
    assert len(GRUCell.STATES) == 1
    assert len(LSTMCell.STATES) == 2


@pytest.mark.parametrize("make", CLASSIC.values())
def test_19_sequences_of_varying_length_share_a_batch(make):
    rnn = RNN(randomise(make(D, H, rngs=nnx.Rngs(0))), return_carry=True)
    x, _ = data(batch=8, time=7)
    carry, outputs = rnn(x, seq_lengths=jnp.arange(8))
    for length in range(1, 8):
        alone_carry, alone = rnn(x[length, :length])
        np.testing.assert_allclose(outputs[length, :length], alone, atol=1e-6)
        for together, apart in zip(
            jax.tree.leaves(carry), jax.tree.leaves(alone_carry), strict=True
        ):
            np.testing.assert_allclose(together[length], apart, atol=1e-6)


@pytest.mark.parametrize("readout", ["last", "every", "flatten"])
@pytest.mark.usefixtures("x64")
def test_21_the_output_is_a_linear_map_of_the_state(readout):
    model = randomise(
        SequenceModel(GRUCell, D, 2, hidden_sizes=(H,), readout=readout, length=7, rngs=nnx.Rngs(0))
    )
    x, _ = data()
    states = np.asarray(RNN(model.layers[0].forward.cell)(x))
    seen = {"last": states[:, -1], "every": states, "flatten": states.reshape(5, -1)}[readout]
    kernel, bias = np.asarray(model.readout.kernel[...]), np.asarray(model.readout.bias[...])
    np.testing.assert_allclose(model(x), seen @ kernel + bias, rtol=1e-5, atol=1e-6)
