"""Every cell against NumPy loops, finite differences, dm-haiku and flax.linen, and its options."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads

from gru_jax import RNN, FieldError, GRUCell, LSTMCell, VanillaCell
from gru_jax.initializers import Chrono
from tests import reference
from tests.helpers import CLASSIC, agree, randomise, split, weights

pytestmark = pytest.mark.usefixtures("least_effort")

SHAPES = st.tuples(*[st.integers(1, 5)] * 4)  # batch, time, features, hidden
GRU_OPTIONS = [
    {},
    {"reset_after": False},
    {"update_gate": "write"},
    {"reset_after": False, "update_gate": "write"},
    {"reset": "open"},
    {"update": "constant"},
    {"update": "constant", "update_gate": "write"},
    {"update": "replace", "reset_after": False},
    {"update": "replace", "update_gate": "write", "reset": "open"},
    {"bias": "none"},
    {"bias": "recurrent"},
    {"bias": "reset"},
    {"bias": "update"},
    {"bias": "candidate"},
]
LSTM_OPTIONS = [
    {"bias": "none"},
    {"bias": "output"},
    {"input": "open"},
    {"forget": "keep"},
    {"forget": "replace"},
    {"forget": "constant"},
    {"output": "open"},
]


def inputs(shape, seed):
    batch, time, features, _ = shape
    return np.random.default_rng(seed).normal(size=(batch, time, features))


def double(make, shape, seed=1, **options):
    cell = make(shape[2], shape[3], param_dtype=jnp.float64, rngs=nnx.Rngs(0), **options)
    return randomise(cell, seed)


def states(shape, seed, count=1):
    found = np.random.default_rng(seed + 100).normal(size=(count, shape[0], shape[3]))
    return tuple(found) if count > 1 else found[0]


@pytest.mark.quick
@given(SHAPES, st.integers(0, 99), st.sampled_from(GRU_OPTIONS))
def test_gru_is_its_equations(shape, seed, options):
    with jax.enable_x64(True):
        cell = double(GRUCell, shape, seed, **options)
        x, h = inputs(shape, seed), states(shape, seed)
        expected = np.stack(
            [
                reference.gru(
                    x_i,
                    h_i,
                    weights(cell),
                    cell.reset_after,
                    cell.keeps,
                    options.get("reset", "learned"),
                    options.get("update", "learned"),
                )
                for x_i, h_i in zip(x, h, strict=True)
            ]
        )
        agree(RNN(cell)(jnp.asarray(x), initial_carry=h), expected, 1e-12)


@pytest.mark.quick
@given(SHAPES, st.integers(0, 99))
def test_lstm_is_its_equations(shape, seed):
    names = {"input": "i", "forget": "f", "candidate": "g", "output_gate": "o"}
    with jax.enable_x64(True):
        cell = double(LSTMCell, shape, seed)
        x, (c, h) = inputs(shape, seed), states(shape, seed, 2)
        pairs = [
            reference.lstm(*example, weights(cell, names)) for example in zip(x, c, h, strict=True)
        ]
        carry, outputs = RNN(cell, return_carry=True)(jnp.asarray(x), initial_carry=(c, h))
        agree(outputs, np.stack([hidden for hidden, _ in pairs]), 1e-12)
        agree(carry[0], np.stack([memory for _, memory in pairs]), 1e-12)


NONLINEARITIES = {
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "softsign": lambda a: a / (1 + np.abs(a)),
    "identity": lambda a: a,
}


@pytest.mark.quick
@given(SHAPES, st.integers(0, 99), st.sampled_from(sorted(NONLINEARITIES)))
def test_vanilla_is_its_equation(shape, seed, activation):
    function = NONLINEARITIES[activation]
    with jax.enable_x64(True):
        cell = double(VanillaCell, shape, seed, activation=activation)
        x, h = inputs(shape, seed), states(shape, seed)
        expected = [
            reference.vanilla(x_i, h_i, weights(cell), function)
            for x_i, h_i in zip(x, h, strict=True)
        ]
        actual = np.asarray(RNN(cell)(jnp.asarray(x), initial_carry=h))
        np.testing.assert_allclose(actual, np.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "options"),
    [(GRUCell, options) for options in GRU_OPTIONS]
    + [(LSTMCell, options) for options in ({}, *LSTM_OPTIONS)]
    + [(VanillaCell, {}), (VanillaCell, {"bias": "none"})],
)
@pytest.mark.usefixtures("x64")
def test_gradients_are_those_of_finite_differences(make, options):
    shape = (2, 4, 3, 2)
    cell = double(make, shape, learn_initial_state=True, **options)
    run, params = split(RNN(cell))
    x = jnp.asarray(inputs(shape, 3))
    check_grads(run, (params, x), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)
    gradients = jax.grad(lambda params: jnp.sum(jnp.sin(run(params, x))))(params)
    for leaf in jax.tree.leaves(gradients):
        assert np.abs(leaf).max() > 0, "a parameter that cannot influence the output exists"


@pytest.mark.usefixtures("x64")
def test_haiku_gru_resets_before_and_writes():
    shape, hidden = (3, 6, 2, 4), 4
    cell = double(GRUCell, shape, reset_after=False, update_gate="write")
    x, h = jnp.asarray(inputs(shape, 0)), jnp.asarray(states(shape, 0))
    theirs = hk.without_apply_rng(
        hk.transform(lambda x, h: hk.dynamic_unroll(hk.GRU(hidden), x, h, time_major=False)[0])
    )

    def run_theirs(params, x, h):
        cell = nnx.to_pure_dict(params)["cell"]
        gates = [cell[name] for name in ("update", "reset", "candidate")]
        ours = {
            "w_i": jnp.concatenate([gate["kernel"] for gate in gates], 1),
            "w_h": jnp.concatenate([gate["recurrent_kernel"] for gate in gates], 1),
            "b": jnp.concatenate([gate["bias"] for gate in gates]),
        }
        return theirs.apply({"gru": ours}, x, h)

    run, params = split(RNN(cell))
    run_ours = lambda params, x, h: run(params, x, initial_carry=h)
    same_values_and_gradients(run_ours, run_theirs, params, x, h, 1e-12)


def _linen_dense(gate, names):
    kernel, recurrent = names
    return {
        kernel: {"kernel": gate["kernel"], "bias": gate["bias"]},
        recurrent: {"kernel": gate["recurrent_kernel"]},
    }


def _linen_gru(cell):
    found = {}
    for gate, letter in (("reset", "r"), ("update", "z"), ("candidate", "n")):
        found |= _linen_dense(cell[gate], ("i" + letter, "h" + letter))
    found["hn"]["bias"] = cell["recurrent_bias"]
    return found


def _linen_lstm(cell):
    found = {}
    for gate, letter in (("input", "i"), ("forget", "f"), ("candidate", "g"), ("output_gate", "o")):
        found["i" + letter] = {"kernel": cell[gate]["kernel"]}
        recurrent = {"kernel": cell[gate]["recurrent_kernel"], "bias": cell[gate]["bias"]}
        found["h" + letter] = recurrent
    return found


def _linen_vanilla(cell):
    return _linen_dense(cell["candidate"], ("i", "h"))


@pytest.mark.parametrize(
    ("make", "theirs", "convert"),
    [
        (GRUCell, linen.GRUCell, _linen_gru),
        (LSTMCell, linen.LSTMCell, _linen_lstm),
        (VanillaCell, linen.SimpleCell, _linen_vanilla),
    ],
)
@pytest.mark.usefixtures("x64")
def test_linen(make, theirs, convert):
    shape = (3, 6, 2, 4)
    cell = double(make, shape)
    x = jnp.asarray(inputs(shape, 0))
    carry = jax.tree.map(jnp.asarray, states(shape, 0, len(cell.STATES)))
    layer = linen.RNN(theirs(4, param_dtype=jnp.float64))

    def run_theirs(params, x, carry):
        cell = convert(nnx.to_pure_dict(params)["cell"])
        return layer.apply({"params": {"cell": cell}}, x, initial_carry=carry)

    run, params = split(RNN(cell))
    run_ours = lambda params, x, carry: run(params, x, initial_carry=carry)
    same_values_and_gradients(run_ours, run_theirs, params, x, carry, 1e-12)


def same_values_and_gradients(ours, theirs, params, x, carry, tolerance):
    agree(ours(params, x, carry), theirs(params, x, carry), tolerance)
    gradients = [
        jax.grad(lambda *args, f=f: jnp.sum(jnp.sin(f(*args))), argnums=(0, 1, 2))(params, x, carry)
        for f in (ours, theirs)
    ]
    agree(*gradients, 100 * tolerance)


@pytest.mark.parametrize("make", CLASSIC.values())
def test_bfloat16_is_for_products_only(make):
    shape = (4, 20, 3, 8)
    x = jnp.asarray(inputs(shape, 0), jnp.float32)
    half = randomise(make(3, 8, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)))
    full = randomise(make(3, 8, rngs=nnx.Rngs(0)))
    outputs, activations = RNN(half, return_activations=True)(x)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((outputs, activations)))
    exact = RNN(full)(x)
    error = np.abs(outputs - exact).max()
    assert 1e-6 < error < 0.1

    run, params = split(RNN(half))
    gradients = jax.grad(lambda p: jnp.sum(run(p, x) ** 2))(params)
    run, params = split(RNN(full))
    exact = jax.grad(lambda p: jnp.sum(run(p, x) ** 2))(params)
    for a, e in zip(jax.tree.leaves(gradients), jax.tree.leaves(exact), strict=True):
        assert a.dtype == jnp.float32
        assert np.linalg.norm(a - e) < 0.1 * np.linalg.norm(e)


def test_bfloat16_parameters_keep_a_float32_state():
    cell = GRUCell(2, 4, param_dtype=jnp.bfloat16, keeping_bias=8.0, rngs=nnx.Rngs(0))
    h, _ = cell(jnp.full((4,), 0.5), jnp.zeros(2))
    assert h.dtype == jnp.float32
    # bfloat16 would round the update gate to 1 and keep 0.5 exactly.
    assert 0 < np.abs(h - 0.5).max() < 1e-3


@pytest.mark.parametrize("make", CLASSIC.values())
@pytest.mark.usefixtures("x64")
def test_float64_needs_no_more_than_param_dtype(make):
    cell = make(2, 3, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
    carry, output = cell(cell.initialize_carry((2,)), jnp.ones(2, jnp.float64))
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves((carry, output)))


@pytest.mark.parametrize("make", CLASSIC.values())
def test_each_gate_starts_orthogonal_by_itself(make):
    params = nnx.to_pure_dict(nnx.state(make(3, 16, rngs=nnx.Rngs(0))))
    gates = [gate for gate in params.values() if isinstance(gate, dict)]
    kernels = [gate["recurrent_kernel"] for gate in gates]
    assert kernels
    for kernel in kernels:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(16), atol=1e-5)


@pytest.mark.quick
def test_keeping_bias_keeps_in_both_conventions():
    for convention in ("keep", "write"):
        cell = GRUCell(2, 8, keeping_bias=3.0, update_gate=convention, rngs=nnx.Rngs(0))
        h = jnp.ones(8)
        moved = cell(h, jnp.zeros(2))[0]
        assert np.abs(moved - h).max() < 0.5, convention
    constant = GRUCell(2, 8, update="constant", keeping_bias=3.0, rngs=nnx.Rngs(0))
    np.testing.assert_allclose(constant.update.bias[...], 3.0)


@pytest.mark.quick
def test_chrono_spreads_time_scales_up_to_its_maximum():
    u = np.exp(Chrono(100)(jax.random.key(0), (4000,)))
    np.testing.assert_allclose(np.mean(u), 50, rtol=0.05)
    np.testing.assert_allclose(np.percentile(u, [25, 75]), [25.5, 74.5], rtol=0.1)
    for gate in (
        GRUCell(2, 64, keeping_bias=Chrono(100), rngs=nnx.Rngs(0)).update,
        LSTMCell(2, 64, keeping_bias=Chrono(100), rngs=nnx.Rngs(0)).forget,
    ):
        u = np.exp(gate.bias[...])
        assert 1 <= u.min() < 20
        assert 80 < u.max() <= 99
    lstm = LSTMCell(2, 8, keeping_bias=Chrono(100), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(lstm.input.bias[...], -lstm.forget.bias[...])
    write = GRUCell(2, 8, keeping_bias=Chrono(9), update_gate="write", rngs=nnx.Rngs(0))
    assert (write.update.bias[...] <= 0).all()


def test_vanilla_starts():
    identity = VanillaCell(2, 5, recurrent_start="identity", scale=0.5, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(identity.candidate.recurrent_kernel[...], 0.5 * np.eye(5))
    scaled = VanillaCell(2, 5, scale=1.5, rngs=nnx.Rngs(0)).candidate.recurrent_kernel[...]
    np.testing.assert_allclose(np.linalg.svd(scaled, compute_uv=False), 1.5, rtol=1e-5)


def test_hard_sigmoid_and_own_functions():
    for make in (GRUCell, LSTMCell):
        hard = randomise(make(2, 3, gate_activation="hard_sigmoid", rngs=nnx.Rngs(0)), scale=5.0)
        _, gates = RNN(hard, return_activations=True)(jnp.ones((2, 9, 2)))
        gate = gates["update" if make is GRUCell else "forget"]
        assert {0.0, 1.0} & set(np.unique(gate).tolist())
        own = make(2, 3, activation=jnp.sin, rngs=nnx.Rngs(0))
        assert own.activation is jnp.sin


@pytest.mark.parametrize("make", CLASSIC.values())
def test_learned_initial_state(make):
    cell = make(2, 3, learn_initial_state=True, rngs=nnx.Rngs(0))
    start = jnp.arange(1.0, 1 + cell.initial_state[...].size).reshape(cell.initial_state.shape)
    cell.initial_state[...] = start / 10
    carry = cell.initialize_carry((5, 2))
    for state, expected in zip(jax.tree.leaves(carry), start / 10, strict=True):
        np.testing.assert_array_equal(state, np.broadcast_to(expected, (5, 3)))
    drawn = cell.initialize_carry((5, 2), nnx.Rngs(0), jax.nn.initializers.normal())
    assert all(np.std(state) > 0 for state in jax.tree.leaves(drawn))
    with pytest.raises(ValueError, match="carry_init needs rngs"):
        cell.initialize_carry((5, 2), None, jax.nn.initializers.normal())


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "options", "field"),
    [
        (GRUCell, {"update_gate": "Keep"}, "update_gate = 'Keep': .*keep, write.*'keep'"),
        (GRUCell, {"reset_after": 1}, "reset_after = 1: must be True or False"),
        (GRUCell, {"bias": "updat"}, "bias = 'updat': .*did you mean 'update'"),
        (GRUCell, {"reset": "open", "bias": "reset"}, "bias = 'reset'"),
        (GRUCell, {"reset_after": False, "bias": "recurrent"}, "bias = 'recurrent'"),
        (GRUCell, {"bias": ("reset", "all")}, "bias = 'all'"),
        (GRUCell, {"bias": 5}, "bias = 5: must be a name or a list"),
        (GRUCell, {"keeping_bias": "large"}, "keeping_bias = 'large': must be a finite number"),
        (GRUCell, {"keeping_bias": float("nan")}, "keeping_bias = nan: must be a finite number"),
        (GRUCell, {"keeping_bias": 1.0, "bias": "none"}, "keeping_bias = 1.0: must be left out"),
        (GRUCell, {"keeping_bias": Chrono(9), "update": "keep"}, "Chrono.* must be left out"),
        (GRUCell, {"activation": "sigmoid"}, "activation = 'sigmoid'"),
        (LSTMCell, {"forget": "open"}, "forget = 'open'"),
        (LSTMCell, {"keeping_bias": 1.0, "forget": "keep"}, "keeping_bias = 1.0: must be left out"),
        (LSTMCell, {"gate_activation": "tanh"}, "gate_activation = 'tanh'"),
        (VanillaCell, {"recurrent_start": "zeros"}, "recurrent_start = 'zeros'"),
        (VanillaCell, {"scale": -1.0}, "scale = -1.0: must be a finite number at least 0"),
        (VanillaCell, {"bias": "candidate"}, "bias = 'candidate'"),
        (VanillaCell, {"learn_initial_state": "yes"}, "learn_initial_state = 'yes'"),
    ],
)
def test_bad_options_name_field_value_and_what_is_allowed(make, options, field):
    with pytest.raises(FieldError, match=field):
        make(2, 3, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize("make", CLASSIC.values())
@pytest.mark.parametrize("sizes", [(0, 3), (2, -1), (2.0, 3), (True, 3)])
def test_bad_sizes(make, sizes):
    with pytest.raises(FieldError, match=r"_features = .*: must be a whole number, at least 1"):
        make(*sizes, rngs=nnx.Rngs(0))
