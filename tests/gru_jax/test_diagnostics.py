"""Gradients through time, spectra and gates: against theory, and against other ways to compute."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import FieldError, GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.diagnostics import (
    dynamics,
    gate_half_life,
    horizon,
    input_response,
    jacobians,
    kept,
    loss_gradient,
    lyapunov_exponents,
    own_half_life,
    random_vectors,
    transport,
    vanilla_bound,
)
from gru_jax.diagnostics.spectrum import _log_largest
from tests.helpers import randomise

D, H, T = 3, 4, 9
DOUBLE = {"param_dtype": jnp.float64}

pytestmark = pytest.mark.usefixtures("x64")


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


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


def over_models(models, measure):
    """`measure`, a function of a model and an input, for all models and their inputs at once."""
    graph = nnx.split(models[0])[0]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[nnx.state(m) for m in models])
    over = jax.jit(jax.vmap(lambda params, x: measure(nnx.merge(graph, params), x)))
    return lambda x: over(params, x)


def products(model, x):
    """dh_T/dh_{T-n} for n = 0..T: the steps' Jacobians by jax.jacrev, multiplied in NumPy."""
    system = dynamics(model, x)
    one = jax.jit(jax.vmap(jax.jacrev(lambda state, now: system.step(system.params, state, now))))
    found = [np.eye(system.start.size)]
    for jacobian in np.asarray(one(system.states(x)[:-1], x))[::-1]:
        found.append(found[-1] @ jacobian)
    return found


def test_the_states_are_the_models_own():
    model, x = stacked(LSTMCell), sequence()
    carry, _ = model(x, return_carry=True)
    last = jnp.concatenate([state for layer in carry for state in layer])
    np.testing.assert_allclose(dynamics(model, x).states(x)[-1], last, rtol=1e-12)
    for readout in ("last", "every", "flatten"):
        model = stacked(LSTMCell, readout=readout, length=T)
        system = dynamics(model, x)
        np.testing.assert_allclose(system.read(system.states(x)[1:]), model(x), rtol=1e-12)
    for name in ("lstm", "nnx gru", "nnx lstm"):
        model = MODELS[name]()
        system = dynamics(model, x)
        outputs = nnx.RNN(model)(x[None])[0]
        np.testing.assert_allclose(system.read(system.states(x)[1:]), outputs, rtol=1e-12)


def test_jacobians_are_those_of_jacrev_and_of_finite_differences(model):
    x = sequence()
    expected = products(model, x)
    found = jacobians(model, x)
    largest = [np.linalg.norm(product, 2) for product in expected[1:]]
    np.testing.assert_allclose(np.exp(found.log_largest), largest, rtol=1e-9)
    system = dynamics(model, x)
    for place, own in zip(system.units, found.log_own, strict=True):
        diagonals = [np.abs(np.diagonal(product))[place] for product in expected[1:]]
        np.testing.assert_allclose(np.exp(own), diagonals, rtol=1e-8, atol=1e-15)

    vectors = random_vectors(jax.random.key(0), 3, system.start.size)
    moved = np.exp(transport(model, x, vectors))
    for lag, product in enumerate(expected):
        np.testing.assert_allclose(moved[:, lag], np.linalg.norm(vectors @ product, axis=1), 1e-9)

    last = jax.jit(lambda start: dataclasses.replace(system, start=start).states(x)[-1])
    step = 1e-6
    differences = [
        (last(system.start + step * e) - last(system.start - step * e)) / (2 * step)
        for e in np.eye(system.start.size)
    ]
    np.testing.assert_allclose(np.transpose(differences), expected[-1], atol=1e-8)


@pytest.mark.parametrize("apart", [0, 1e-9, 1e-6, 1e-3, 0.5])
def test_the_largest_singular_value_needs_no_gap(apart):
    generator = np.random.default_rng(0)
    left, right = (np.linalg.qr(generator.normal(size=(20, 20)))[0] for _ in range(2))
    matrix = 3 * left @ np.diag(1 - apart * np.arange(20) / 20) @ right
    np.testing.assert_allclose(np.exp(_log_largest(jnp.asarray(matrix))), 3, rtol=1e-6)


@pytest.mark.parametrize("every", [1, 2, 4, 9])
def test_singular_values_at_some_lags_are_those_at_all(every):
    model, x = cell(LSTMCell), sequence()
    all_lags, some = jacobians(model, x), jacobians(model, x, every)
    np.testing.assert_allclose(some.log_largest, all_lags.log_largest[every - 1 :: every], 1e-12)
    np.testing.assert_allclose(some.log_own[0], all_lags.log_own[0], 1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: stacked(GRUCell),
        lambda: stacked(LSTMCell, readout="every"),
        lambda: stacked(LSTMCell, readout="flatten", length=T),
        lambda: stacked(VanillaCell),
        MODELS["lstm"],
        MODELS["nnx gru"],
        MODELS["nnx lstm"],
    ],
)
def test_a_loss_gradient_is_that_of_a_perturbation(make):
    model, x = make(), sequence()
    loss = lambda outputs: jnp.sum(jnp.sin(3 * outputs))
    system = dynamics(model, x)

    def perturbed(start, noise, params):
        def advance(state, now):
            x, more, mine = now
            state = system.step(mine, state, x) + more
            return state, state

        return loss(system.read(jax.lax.scan(advance, start, (x, noise, params))[1]))

    zeros = jnp.zeros((T, system.start.size))
    copies = jax.tree.map(lambda leaf: jnp.stack([leaf] * T), system.params)
    at_start, at_states, at_weights = jax.grad(perturbed, (0, 1, 2))(system.start, zeros, copies)
    found = loss_gradient(model, x, loss)
    states = [np.linalg.norm(g) for g in (at_start, *at_states)][::-1]
    np.testing.assert_allclose(np.exp(found.log_state), states, rtol=1e-9)
    squares = [(leaf.reshape(T, -1) ** 2).sum(1) for leaf in jax.tree.leaves(at_weights)]
    weights = np.sqrt(sum(squares))[::-1]
    np.testing.assert_allclose(np.exp(found.log_weights), weights, rtol=1e-9)
    np.testing.assert_allclose(found.weight_share, weights / weights.sum(), rtol=1e-9)


def test_a_linear_network_carries_exactly_its_scale():
    for scale in (0.5, 1.0, 1.5):
        model = VanillaCell(D, H, activation="identity", scale=scale, **DOUBLE, rngs=nnx.Rngs(0))
        x = sequence(50)
        lags = np.arange(51)
        vectors = random_vectors(jax.random.key(0), 2, H)
        exact = lags * np.log(scale)
        for log in transport(model, x, vectors):
            np.testing.assert_allclose(log, exact, atol=1e-13 * 50)
        np.testing.assert_allclose(jacobians(model, x).log_largest, exact[1:], atol=1e-12)
        np.testing.assert_allclose(lyapunov_exponents(model, x, H), np.log(scale), atol=1e-13)


@pytest.mark.parametrize("activation", ["tanh", "softsign", "relu"])
@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_the_bound_of_a_vanilla_network_is_not_crossed(activation, scale):
    models = [
        VanillaCell(D, 8, activation=activation, scale=scale, **DOUBLE, rngs=nnx.Rngs(seed))
        for seed in range(10)
    ]
    for seed, model in enumerate(models):
        model.candidate.bias[...] = sequence(1, 8, seed)[0] / 3
    vectors = random_vectors(jax.random.key(0), 4, 8)
    x = jnp.stack([sequence(60, seed=seed, scale=0.3) for seed in range(10)])

    def measure(model, x):
        return (
            transport(model, x, vectors),
            jacobians(model, x).log_largest,
            vanilla_bound(model, x),
        )

    moved, largest, bound = over_models(models, measure)(x)
    assert (moved <= bound[:, None] + 1e-12).all()
    assert (largest <= bound[:, 1:] + 1e-12).all()
    steps = np.broadcast_to(np.arange(61) * np.log(scale), bound.shape)
    if activation == "relu":  # slopes are 1, or all 0 at a step
        np.testing.assert_allclose(bound, np.where(bound > -np.inf, steps, -np.inf), 1e-9)
    else:
        assert (bound[:, -1] < steps[:, -1] - 1e-3).all()


def test_a_gate_pinned_to_keep_carries_the_identity():
    model, x = cell(GRUCell, update="keep"), sequence(300)
    found = jacobians(model, x)
    assert (found.log_largest == 0).all()
    assert (found.log_own[0] == 0).all()
    vectors = jnp.eye(H)
    assert (transport(model, x, vectors) == 0).all()
    np.testing.assert_allclose(lyapunov_exponents(model, x, H), 0, atol=1e-15)


def test_open_reset_and_no_update_is_the_vanilla_curve():
    gru = cell(GRUCell, reset="open", update="replace", bias=["candidate"])
    vanilla = cell(VanillaCell)
    nnx.update(vanilla.candidate, nnx.state(gru.candidate))
    x, vectors = sequence(40), random_vectors(jax.random.key(0), 3, H)
    np.testing.assert_array_equal(transport(gru, x, vectors), transport(vanilla, x, vectors))
    np.testing.assert_array_equal(jacobians(gru, x)[0], jacobians(vanilla, x)[0])
    loss = lambda outputs: jnp.sum(outputs[-1] ** 2)
    states = [loss_gradient(model, x, loss).log_state for model in (gru, vanilla)]
    np.testing.assert_array_equal(*states)


class Henon(nnx.RNNCellBase):
    """x' = 1 - a x^2 + y, y' = b x: exponents 0.419 and ln b - 0.419 (a = 1.4, b = 0.3)."""

    def __call__(self, carry, inputs):
        del inputs
        x, y = carry
        new = jnp.stack([1 - 1.4 * x**2 + y, 0.3 * x])
        return new, new

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        del input_shape, rngs, carry_init
        return jnp.array([0.1, 0.1])

    @property
    def num_feature_axes(self):
        return 1


def test_lyapunov_exponents_of_a_known_system():
    found = lyapunov_exponents(Henon(), jnp.zeros((30_000, 1)), 2)
    assert abs(found[0] - 0.419) < 0.005
    np.testing.assert_allclose(found.sum(), np.log(0.3), atol=1e-10)


def test_lyapunov_exponents_by_a_second_way(model):
    x = sequence(200)
    system = dynamics(model, x)
    states = system.states(x)
    size = system.start.size
    found = lyapunov_exponents(model, x, size)
    assert (jnp.diff(found) <= 0).all()
    np.testing.assert_allclose(lyapunov_exponents(model, x, 1), found[:1], atol=1e-9)
    # The volume of all directions: the mean of log |det J_t|.
    one = jax.vmap(jax.jacrev(lambda state, now: system.step(system.params, state, now)))
    determinants = jnp.linalg.slogdet(one(states[:-1], x))[1]
    np.testing.assert_allclose(found.sum(), determinants.mean(), rtol=1e-8)
    # The longest direction: what the largest singular value grows by, up to a constant over T.
    largest = jacobians(model, x, 100).log_largest
    assert abs(largest[-1] - 200 * found[0]) < 5


def test_ten_thousand_steps_stay_finite_or_are_minus_infinity():
    with jax.enable_x64(False):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(10_000, 2)), jnp.float32)
        model = GRUCell(2, 4, rngs=nnx.Rngs(0))
        assert dynamics(model, x).start.dtype == jnp.float32
        vectors = random_vectors(jax.random.key(0), 2, 4)
        logs = transport(model, x, vectors)
        assert jnp.isfinite(logs).all()
        assert logs[0, -1] < -1000  # float32 ends at -104
        assert jnp.isfinite(jacobians(model, x, 1000).log_largest).all()
        gradient = loss_gradient(model, x, lambda outputs: outputs[-1].sum())
        assert jnp.isfinite(gradient.log_state).all()
        np.testing.assert_allclose(gradient.weight_share.sum(), 1, rtol=1e-5)
        dead = VanillaCell(2, 4, scale=0.0, rngs=nnx.Rngs(0))
        assert (transport(dead, x, vectors)[:, 1:] == -jnp.inf).all()
        gradient = loss_gradient(dead, x, lambda outputs: outputs[-1].sum())
        assert (gradient.log_state[1:] == -jnp.inf).all()
        assert gradient.weight_share[0] == 1
        assert (lyapunov_exponents(dead, x, 2) == -jnp.inf).all()
        exploding = VanillaCell(2, 4, activation="identity", scale=1.5, rngs=nnx.Rngs(0))
        quiet = jnp.zeros_like(x)
        np.testing.assert_allclose(
            transport(exploding, quiet, vectors)[:, -1], 10_000 * np.log(1.5), rtol=1e-4
        )


def test_memory_holds_no_jacobian_a_step():
    def temporary(time):
        model, x = cell(GRUCell, hidden=32), sequence(time)
        run = jax.jit(lambda x: jacobians(model, x, 8).log_largest)
        return run.lower(x).compile().memory_analysis().temp_size_in_bytes

    grown = temporary(1024) - temporary(256)
    assert grown < 768 * 32 * 32 * 8 / 4


def test_what_gates_say_is_what_a_unit_keeps_where_nothing_else_carries_it():
    model = cell(GRUCell, update="constant", reset="open")
    model.candidate.recurrent_kernel[...] = jnp.zeros((H, H))
    x = sequence(100)
    (shares,) = kept(model, x)
    z = jax.nn.sigmoid(model.update.bias[...])
    np.testing.assert_allclose(shares, jnp.broadcast_to(z, (100, H)), rtol=1e-12)
    by_gate = gate_half_life(shares)
    np.testing.assert_allclose(by_gate, np.log(2) / -np.log(z), rtol=1e-12)
    (own,) = jacobians(model, x).log_own
    np.testing.assert_allclose(own_half_life(own), by_gate, rtol=1e-9)


def test_the_gate_that_keeps_of_every_cell():
    x = sequence()
    carry = jnp.ones(H)
    write = cell(GRUCell, update_gate="write")
    z = write.update(x[0], jnp.zeros(H))
    np.testing.assert_allclose(kept(write, x)[0][0], 1 - z, rtol=1e-12)
    lstm = cell(LSTMCell)
    (c, _), gates = lstm.step((carry, carry), x[0])
    np.testing.assert_allclose(c, lstm.kept(gates) + gates["input"] * gates["candidate"], 1e-12)
    layers = kept(stacked(LSTMCell), x)
    assert [values.shape for values in layers] == [(T, 3), (T, 2)]


def test_the_mean_of_logarithms_and_not_of_gates():
    """z = .99 and .01 in 90 and 10 % of the steps: a mean of z says 9.3 for an e-fold of 2.1."""
    z = jnp.where(jnp.arange(100) % 10 == 0, 0.01, 0.99)[:, None]
    e_fold = gate_half_life(z) / jnp.log(2)
    np.testing.assert_allclose(e_fold, 2.13, atol=0.01)


def test_a_unit_that_has_not_fallen_is_censored():
    logs = jnp.log(jnp.array([[0.9, 0.4, 0.6], [0.8, 0.3, 0.0]]))
    found = own_half_life(logs)
    np.testing.assert_allclose(found[0], 2)
    np.testing.assert_allclose(found[1], np.log(0.5) / np.log(0.4))
    np.testing.assert_allclose(found[2], 2)


def test_horizons():
    logs = jnp.log(jnp.array([[1, 0.5, 0.001, 0.02], [1, 1, 1, 1], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert jax.vmap(horizon)(logs).tolist() == [3, 3, 0, 0]
    assert int(horizon(logs[0], 0.1)) == 1


def test_what_an_input_adds_to_a_steps_gain():
    """One unit that only its update gate carries: the gain is log z_t, told by a marker."""
    model = randomise(GRUCell(2, 1, reset="open", rngs=nnx.Rngs(0), **DOUBLE))
    for gate in (model.update, model.candidate):
        gate.recurrent_kernel[...] = jnp.zeros((1, 1))
    model.update.kernel[...] = jnp.array([[0.0], [1.7]])  # the first feature says nothing
    generator = np.random.default_rng(0)
    marks = generator.random(40) < 0.3
    inputs = jnp.asarray(np.stack([generator.normal(size=40), marks], axis=1))
    carried = transport(model, inputs, jnp.ones((1, 1)))[0]
    bias = float(model.update.bias[0])
    expected = [0.0, jax.nn.log_sigmoid(1.7 + bias) - jax.nn.log_sigmoid(bias)]
    np.testing.assert_allclose(input_response(carried, inputs), expected, atol=1e-9)
    # Steps behind one that carries nothing have no gain and do not count.
    cut = carried.at[30:].set(-jnp.inf)
    np.testing.assert_allclose(input_response(cut, inputs), expected, atol=1e-9)


def test_over_examples_and_models_at_once():
    models = [cell(GRUCell, seed=seed) for seed in range(3)]
    x = jnp.stack([sequence(seed=seed) for seed in range(2)])
    measure = lambda model, x: jacobians(model, x).log_largest
    over_examples = lambda model, x: jax.vmap(lambda one: measure(model, one))(x)
    found = over_models(models, over_examples)(jnp.stack([x] * 3))
    assert found.shape == (3, 2, T)
    for i, model in enumerate(models):
        for j in range(2):
            np.testing.assert_allclose(found[i, j], measure(model, x[j]), rtol=1e-9)


def test_tokens():
    model = stacked(GRUCell, encoder="embedding", embedding_size=3)
    tokens = jnp.array([0, 2, 1, 1])
    assert transport(model, tokens, jnp.eye(5)).shape == (5, 5)
    assert [values.shape for values in kept(model, tokens)] == [(4, 3), (4, 2)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jacobians(cell(GRUCell), sequence(), T + 1), "every = 10"),
        (lambda: lyapunov_exponents(cell(GRUCell), sequence(), H + 1), "count = 5"),
        (lambda: kept(cell(VanillaCell), sequence()), "one with a gate that keeps"),
        (lambda: kept(MODELS["nnx gru"](), sequence()), "a cell that shows its gates"),
        (lambda: dynamics(stacked(GRUCell, bidirectional=True), sequence()), "bidirectional"),
        (lambda: horizon(jnp.zeros(3), 0.0), "share"),
    ],
)
def test_what_cannot_be_measured(call, message):
    with pytest.raises(FieldError, match=message):
        call()
