"""Lengths, padding, direction, resets and activations; a drop-in for nnx's own layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given
from hypothesis import strategies as st

from gru_jax import RNN, FieldError, GRUCell
from gru_jax.padding import last_output
from tests.helpers import CLASSIC, agree, randomise, split

pytestmark = pytest.mark.usefixtures("least_effort")

BATCH, TIME, D, H = 5, 7, 3, 4
EVERY_CELL = pytest.mark.parametrize("make", CLASSIC.values())


def cell_of(make, seed=0, **options):
    return randomise(make(D, H, rngs=nnx.Rngs(0), **options), seed)


def data(seed=0, shape=(BATCH, TIME, D)):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def carry_of(cell, batch=(BATCH,), seed=1):
    leaves = [data(seed + i, (*batch, H)) for i in range(len(cell.STATES))]
    return tuple(leaves) if len(leaves) > 1 else leaves[0]


@EVERY_CELL
@pytest.mark.parametrize("unroll", [1, 3, TIME])
def test_stepwise_is_scanned_is_unrolled(make, unroll):
    cell, x = cell_of(make), data()
    start = carry_of(cell)
    carry, stepwise = start, []
    for t in range(TIME):
        carry, output = cell(carry, x[:, t])
        stepwise.append(output)
    final, outputs = RNN(cell, unroll=unroll, return_carry=True)(x, initial_carry=start)
    agree((final, outputs), (carry, jnp.stack(stepwise, 1)), 1e-6)


@EVERY_CELL
@pytest.mark.parametrize("time_major", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("keep_order", [False, True])
def test_agrees_with_nnx_rnn_and_serves_it(make, time_major, reverse, keep_order):
    cell = cell_of(make)
    x = data(shape=(TIME, BATCH, D) if time_major else (BATCH, TIME, D))
    options = {"time_major": time_major, "reverse": reverse, "keep_order": keep_order}
    for lengths in (None, jnp.array([7, 1, 3, 7, 2])):
        ours = RNN(cell, return_carry=True)(x, seq_lengths=lengths, **options)
        theirs = nnx.RNN(cell, return_carry=True)(x, seq_lengths=lengths, **options)
        if lengths is not None:  # nnx leaves what it computed over padding in the outputs
            mask = (jnp.arange(TIME)[None] < lengths[:, None])[..., None]
            mask = mask.swapaxes(0, 1) if time_major else mask
            theirs = (theirs[0], jnp.where(mask, theirs[1], 0.0))
        agree(ours, theirs, 1e-6)


@EVERY_CELL
def test_serves_nnx_bidirectional(make):
    forward, backward = cell_of(make, 0), cell_of(make, 1)
    x, lengths = data(), jnp.array([7, 1, 3, 0, 2])
    both = nnx.Bidirectional(RNN(forward), RNN(backward))(x, seq_lengths=lengths)
    there = RNN(forward)(x, seq_lengths=lengths)
    back = RNN(backward)(x, seq_lengths=lengths, reverse=True, keep_order=True)
    np.testing.assert_array_equal(both, jnp.concatenate([there, back], -1))


@functools.partial(jax.jit, static_argnums=0)
def run_of(graph, params, x, **options):
    """One program for all examples of the same shapes."""
    return nnx.merge(graph, params)(x, **options)


@EVERY_CELL
@given(seed=st.integers(0, 99), reverse=st.booleans(), keep_order=st.booleans())
def test_lengths_are_exact_from_0_to_all(make, seed, reverse, keep_order):
    cell, x = cell_of(make, seed), data(seed)
    lengths = np.random.default_rng(seed).permutation([0, 1, 3, TIME - 1, TIME])
    graph, params = nnx.split(RNN(cell, return_carry=True, reverse=reverse, keep_order=keep_order))
    rnn = functools.partial(run_of, graph, params)
    start = carry_of(cell, seed=seed)
    carry, outputs = rnn(x, seq_lengths=jnp.asarray(lengths), initial_carry=start)
    for index, length in enumerate(lengths):
        pick = lambda tree, index=index: jax.tree.map(lambda a: a[index], tree)
        assert (np.asarray(outputs[index, length:]) == 0).all()
        if length == 0:
            np.testing.assert_equal(
                jax.tree.map(np.asarray, pick(carry)), jax.tree.map(np.asarray, pick(start))
            )
            continue
        alone_carry, alone = rnn(x[index, :length], initial_carry=pick(start))
        np.testing.assert_allclose(outputs[index, :length], alone, atol=1e-6)
        agree(pick(carry), alone_carry, 1e-5)


@EVERY_CELL
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "rubbish", [pytest.param(np.nan, marks=pytest.mark.quick), np.inf, 1e30, -3.0]
)
def test_padding_reaches_neither_values_nor_gradients(make, reverse, rubbish):
    cell, x, lengths = cell_of(make, learn_initial_state=True), data(), jnp.array([7, 1, 3, 0, 2])
    padded = jnp.where(jnp.arange(TIME)[None, :, None] < lengths[:, None, None], x, rubbish)
    run, params = split(RNN(cell, return_carry=True, reverse=reverse))

    def loss(params, x):
        carry, outputs = run(params, x, seq_lengths=lengths)
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves((carry, outputs)))

    slopes = jax.jit(jax.value_and_grad(loss, (0, 1)))
    clean, dirty = slopes(params, x), slopes(params, padded)
    for a, b in zip(jax.tree.leaves(clean), jax.tree.leaves(dirty), strict=True):
        np.testing.assert_array_equal(a, b)
    to_inputs = np.asarray(clean[1][1])
    for index, length in enumerate(lengths):
        assert (to_inputs[index, length:] == 0).all()
        assert (to_inputs[index, :length] != 0).any() or length == 0


@pytest.mark.quick
@EVERY_CELL
@pytest.mark.parametrize("reverse", [False, True])
def test_resets_cut_the_sequence_in_two(make, reverse):
    cell, x = cell_of(make, learn_initial_state=True), data()
    cut = 3
    resets = jnp.zeros((BATCH, TIME), bool).at[:, cut].set(True).at[0].set(False)
    rnn = RNN(cell, reverse=reverse, keep_order=True, return_carry=True)
    carry, outputs = rnn(x, resets=resets, initial_carry=carry_of(cell))
    start = cell.initialize_carry((BATCH, D))
    after = slice(0, cut + 1) if reverse else slice(cut, TIME)
    alone_carry, alone = rnn(x[:, after], initial_carry=start)
    agree(outputs[1:, after], alone[1:], 1e-6)
    agree(
        jax.tree.map(lambda a: a[1:], (carry,)), jax.tree.map(lambda a: a[1:], (alone_carry,)), 1e-6
    )
    _, untouched = rnn(x, initial_carry=carry_of(cell))
    np.testing.assert_allclose(outputs[0], untouched[0], atol=1e-6)
    assert np.abs(outputs[1:] - untouched[1:]).max() > 1e-3


@EVERY_CELL
def test_no_gradient_crosses_a_reset(make):
    cell, x = cell_of(make), data()
    resets = jnp.zeros((BATCH, TIME), bool).at[:, 4].set(True)
    last = lambda x: jnp.sum(RNN(cell)(x, resets=resets)[:, -1])
    gradient = np.asarray(jax.grad(last)(x))
    assert (gradient[:, :4] == 0).all()
    assert (gradient[:, 4:] != 0).any()


@pytest.mark.quick
def test_a_reset_over_padding_changes_nothing():
    cell, x, lengths = cell_of(GRUCell), data(), jnp.full(BATCH, 3)
    resets = jnp.zeros((BATCH, TIME), bool).at[:, 5].set(True)
    rnn = RNN(cell, return_carry=True)
    with_reset, _ = rnn(x, seq_lengths=lengths, resets=resets)
    without, _ = rnn(x, seq_lengths=lengths)
    np.testing.assert_allclose(with_reset, without, atol=1e-6)
    moved, _ = rnn(x, seq_lengths=lengths, resets=resets.at[:, 2].set(True))
    assert np.abs(moved - without).max() > 1e-3


@EVERY_CELL
@pytest.mark.parametrize("reverse", [False, True])
def test_activations_are_those_of_every_step(make, reverse):
    cell, x, lengths = cell_of(make), data(), jnp.array([7, 1, 3, 0, 2])
    outputs, activations = RNN(cell, return_activations=True, reverse=reverse, keep_order=True)(
        x, seq_lengths=lengths
    )
    carry = cell.initialize_carry((D,))
    steps = range(3)[::-1] if reverse else range(3)
    for t in steps:
        carry, gates = cell.step(carry, x[2, t])
        assert gates.keys() == activations.keys()
        for name, value in gates.items():
            np.testing.assert_allclose(activations[name][2, t], value, atol=1e-6)
    assert all(leaf.shape == outputs.shape for leaf in activations.values())
    assert all((np.asarray(leaf[2, 3:]) == 0).all() for leaf in activations.values())


@EVERY_CELL
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_any_leading_axes(make, batch):
    cell = cell_of(make)
    x = data(shape=(*batch, TIME, D))
    lengths = jnp.full(batch, 4)
    outputs = RNN(cell)(x, seq_lengths=lengths)
    flat = RNN(cell)(x.reshape(-1, TIME, D), seq_lengths=lengths.reshape(-1))
    np.testing.assert_allclose(outputs, flat.reshape(*batch, TIME, H), atol=1e-6)
    assert outputs.shape == (*batch, TIME, H)


def test_lengths_may_be_unsigned():
    cell, x = cell_of(GRUCell), data()
    rnn = RNN(cell, return_carry=True)
    lengths = np.array([7, 1, 0, 0, 2])
    for kind in (np.uint8, np.uint32):
        for reverse in (False, True):
            run = lambda lengths, reverse=reverse: rnn(x, seq_lengths=lengths, reverse=reverse)
            agree(run(jnp.asarray(lengths, kind)), run(jnp.asarray(lengths)), 0)
    for kind in (np.int32, np.uint8, np.uint32):
        last = last_output(jnp.ones((7, 5, 2)), jnp.asarray(lengths, kind), False)
        assert last.shape == (5, 2)
        np.testing.assert_array_equal(last, 1)


def test_a_carry_of_lower_precision_is_accepted():
    cell = cell_of(GRUCell)
    carry = carry_of(cell).astype(jnp.bfloat16)
    outputs = RNN(cell)(data(), initial_carry=carry)
    np.testing.assert_allclose(outputs, RNN(cell)(data(), initial_carry=carry.astype(jnp.float32)))


def test_an_empty_sequence_returns_the_start():
    cell = cell_of(GRUCell)
    carry, outputs = RNN(cell, return_carry=True)(
        jnp.zeros((BATCH, 0, D)), initial_carry=carry_of(cell)
    )
    np.testing.assert_array_equal(carry, carry_of(cell))
    assert outputs.shape == (BATCH, 0, H)


@pytest.mark.quick
@pytest.mark.parametrize("shape", [(BATCH, TIME, D + 1), (D,)])
def test_inputs_that_do_not_fit(shape):
    with pytest.raises(ValueError, match="needs a time axis and 3 features"):
        RNN(cell_of(GRUCell))(jnp.zeros(shape))


def test_bad_unroll():
    with pytest.raises(FieldError, match="unroll = 0: must be a whole number, at least 1"):
        RNN(cell_of(GRUCell), unroll=0)
