"""Each further cell: a NumPy loop from its paper, and what holds for all cells alike."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import CELLS, RNN
from gru_jax.cells import skew
from tests import reference_zoo
from tests.helpers import CLASSIC, randomise, split

pytestmark = pytest.mark.usefixtures("least_effort")

B, T, D, H = 2, 4, 2, 3
OPTIONS = {
    "ln_gru": [{}, {"norm": "sum"}],
    "ln_lstm": [{}, {"norm": "sum"}],
    "min_gru": [{}, {"activation": "positive"}],
    "janet": [{}, {"beta": 0.3}],
    "lem": [{}, {"dt": 0.4}],
    "cornn": [{}, {"dt": 0.3, "gamma": 2.0, "epsilon": 0.7}],
    "antisymmetric": [{}, {"gated": True, "epsilon": 0.6, "gamma": 0.2}],
}
ZOO = [name for name in CELLS if name not in CLASSIC]  # the others have tests of their own
VARIANTS = {
    "gru": [
        {"reset": "state", "update": "state"},
        {"reset": "inputs", "update": "inputs", "reset_after": False, "update_gate": "write"},
        {"reset": "constant", "update": "constant", "bias": "candidate"},
        {"update": "refined"},
        {"update": "refined", "update_gate": "write", "reset": "open"},
    ],
    "lstm": [
        {"peepholes": "all"},
        {"input": "coupled", "peepholes": "all", "output": "open"},
        {"input": "coupled", "forget": "refined", "output": "inputs", "peepholes": "output"},
        {"input": "state", "forget": "constant", "output": "constant", "bias": "candidate"},
    ],
}
CASES = [
    *((name, options) for name in ZOO for options in OPTIONS.get(name, [{}])),
    *((name, options) for name, several in VARIANTS.items() for options in several),
]


def made(name, dtype=jnp.float64, **options):
    return randomise(CELLS[name](D, H, param_dtype=dtype, rngs=nnx.Rngs(0), **options))


def drawn(count, *shape, seed=0):
    return [np.random.default_rng((seed, i)).normal(size=shape) for i in range(count)]


def moved(tree, path, index):
    """The tree with an imaginary step in one number."""
    if not path:
        tree = tree.astype(complex)
        tree[index] += 1e-30j
        return tree
    head, *rest = path
    copied = list(tree) if isinstance(tree, list) else dict(tree)
    copied[head] = moved(tree[head], rest, index)
    return copied


def slopes(loss, tree, path=()):
    """The derivatives of a loss in every number of a tree of arrays, by complex steps."""
    here = tree
    for name in path:
        here = here[name]
    if isinstance(here, dict):
        return {name: slopes(loss, tree, (*path, name)) for name in here}
    if isinstance(here, list):
        return [slopes(loss, tree, (*path, place)) for place in range(len(here))]
    found = np.zeros(here.shape)
    for index in np.ndindex(*here.shape):
        found[index] = loss(moved(tree, path, index)).imag / 1e-30
    return found


@pytest.mark.quick
@pytest.mark.parametrize(("name", "options"), CASES)
@pytest.mark.usefixtures("x64")
def test_it_is_its_equations_with_their_derivatives(name, options):
    cell = made(name, **options)
    run, params = split(RNN(cell, gradient="batched", segment=2))
    x, states = drawn(1, B, T, D)[0], drawn(len(cell.STATES), B, H, seed=1)
    weights = drawn(1, B, T, H, seed=2)[0]
    carry = lambda states: tuple(states) if len(states) > 1 else states[0]

    def ours(params, x, states):
        outputs = run(params, x, initial_carry=carry(states))
        return jnp.sum(weights * outputs), outputs

    found = jax.jit(jax.value_and_grad(ours, (0, 1, 2), has_aux=True))(
        params, x, jax.tree.map(jnp.asarray, states)
    )
    (_, outputs), gradients = jax.tree.map(np.asarray, found)
    loop = getattr(reference_zoo, name)

    def theirs(given):
        examples = range(B)
        return np.stack(
            [
                loop(given["cell"], given["x"][i], [s[i] for s in given["states"]], **options)
                for i in examples
            ]
        )

    pure = jax.tree.map(np.asarray, nnx.to_pure_dict(params)["cell"])
    given = {"cell": pure, "x": x, "states": states}
    np.testing.assert_allclose(outputs, theirs(given), rtol=1e-12, atol=1e-14)
    expected = slopes(lambda given: np.sum(weights * theirs(given)), given)
    by_name = nnx.to_pure_dict(gradients[0])["cell"]
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, by_name, expected["cell"])
    jax.tree.map(close, list(gradients[1:]), [expected["x"], expected["states"]])
    if name == "lru":  # its y follows from the other two, and is carried to be seen above
        assert not expected["states"].pop().any()
    for leaf in jax.tree.leaves(expected):
        assert np.abs(leaf).max() > 0, "each parameter has a say"


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.usefixtures("x64")
def test_lengths_resets_directions_and_steps_are_those_of_a_loop_over_it(name):
    cell = made(name, learn_initial_state=True)
    x = jnp.asarray(drawn(1, 3, T, D)[0])
    lengths, cut = jnp.array([T, 2, 0]), 3
    resets = jnp.zeros((3, T), bool).at[0, cut].set(True)

    @jax.jit
    def found(x):
        forward = RNN(cell)(x, seq_lengths=lengths, resets=resets)
        back = RNN(cell, reverse=True, keep_order=True)(x, seq_lengths=lengths)
        return forward, back, RNN(cell, return_activations=True)(x)[1]

    @jax.jit
    def walked(x):
        carry, outputs, gates = cell.initialize_carry((D,)), [], []
        for now in x:
            carry, activations = cell.step(carry, now)
            outputs.append(cell.output(carry))
            gates.append(activations)
        return jnp.stack(outputs), jax.tree.map(lambda *each: jnp.stack(each), *gates)

    forward, back, gates = found(x.at[1, 2:].set(jnp.nan))
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    whole, seen = walked(x[0])
    close(forward[0, :cut], whole[:cut])
    close(forward[0, cut:], walked(x[0, cut:])[0])
    close(forward[1, :2], walked(x[1, :2])[0])
    close(back[0], walked(x[0, ::-1])[0][::-1])
    close(back[1, :2], walked(x[1, 1::-1])[0][::-1])
    assert not forward[1, 2:].any()
    assert not forward[2].any()
    jax.tree.map(lambda a, b: close(a[0], b), gates, seen)
    kept = cell.kept(seen)
    assert (kept is None) == (cell.KEEPING_GATE is None)
    if kept is not None:
        assert cell.KEEPING_GATE in seen
        assert ((kept >= 0) & (kept <= 1)).all()


@pytest.mark.parametrize("name", ZOO)
def test_bfloat16_is_for_products_only(name):
    x = jnp.asarray(drawn(1, 4, 20, D)[0], jnp.float32)
    half = randomise(CELLS[name](D, H, dtype=jnp.bfloat16, rngs=nnx.Rngs(0)))
    both = jax.jit(lambda x: (RNN(half)(x), RNN(made(name, jnp.float32))(x)))
    rounded, exact = both(x)
    assert rounded.dtype == jnp.float32
    assert 1e-7 < np.abs(rounded - exact).max() < 0.1 * max(1, np.abs(exact).max())


KEEPING = [
    name for name in ZOO if "keeping_bias" in CELLS[name].options() and len(CELLS[name].STATES) == 1
]


@pytest.mark.quick
@pytest.mark.parametrize("name", KEEPING)
def test_a_keeping_bias_keeps(name):
    cell = CELLS[name](D, H, keeping_bias=9.0, rngs=nnx.Rngs(0))
    h = jnp.linspace(-0.9, 0.9, H)
    np.testing.assert_allclose(cell(h, jnp.full(D, 0.1))[0], h, atol=0.03)
    assert set(KEEPING) >= {"mgu", "min_gru", "min_lstm", "janet", "brc", "nbrc", "fastgrnn"}


def test_slstm_keeps_a_mean_and_its_first_step_replaces_it():
    cell = CELLS["slstm"](D, H, keeping_bias=9.0, rngs=nnx.Rngs(0))
    mean, x = jnp.linspace(-0.9, 0.9, H), jnp.full(D, 0.1)
    count = jnp.full(H, 50.0)  # steps that the mean is made of
    (c, n, _, _), _ = cell.step((count * mean, count, jnp.zeros(H), jnp.zeros(H)), x)
    np.testing.assert_allclose(c / n, mean, atol=0.05)
    fresh = cell.initialize_carry((D,))
    assert np.isneginf(fresh[2]).all()
    (c, n, m, _), gates = cell.step((7 * count, *fresh[1:]), x)
    np.testing.assert_allclose(c / n, gates["candidate"], rtol=1e-6)
    assert np.isfinite(m).all()


@pytest.mark.quick
def test_starts():
    make = lambda name, **options: CELLS[name](2, 64, rngs=nnx.Rngs(0), **options)
    u = make("indrnn").candidate.recurrent_kernel[...]
    assert u.shape == (64,)
    assert 0 <= u.min() < 0.1
    assert 0.9 < u.max() <= 1
    np.testing.assert_array_equal(make("brc").feedback.recurrent_kernel[...], np.ones(64))
    assert make("nbrc").feedback.recurrent_kernel[...].shape == (64, 64)
    for leaf in jax.tree.leaves(nnx.state(make("lem"), nnx.Param)):
        assert 0.9 / 8 < np.abs(leaf).max() <= 1 / 8
    cell = make("slstm")
    np.testing.assert_allclose(cell.forget.bias[...], np.linspace(3, 6, 64), rtol=1e-6)
    assert not cell.candidate.recurrent_kernel[...].any()
    cell = make("exprnn")
    kernel = skew.kernel(cell.skew, 64, jnp.float32)
    np.testing.assert_array_equal(kernel, -kernel.T)
    turned = jax.scipy.linalg.expm(kernel)
    np.testing.assert_allclose(turned @ turned.T, np.eye(64), atol=1e-5)
    angles = np.diag(kernel, 1)[::2]
    assert 2 < np.abs(angles).max() <= np.pi
    assert np.abs(angles).min() > 0


def test_min_lstm_where_both_of_its_gates_are_shut():
    """f / (f + i) is 0 / 0 in float32, and yet has a value: that of exp(a) / (exp(a) + exp(b))."""
    cell = made("min_lstm", jnp.float32)
    for gate, value in ((cell.forget, -120.0), (cell.input, -121.0)):
        gate.kernel[...] = jnp.zeros_like(gate.kernel[...])
        gate.bias[...] = jnp.full(H, value)
    x = jnp.ones((T, D))
    (h, gates), slopes = jax.vjp(lambda x: cell.step(jnp.ones(H), x), x[0])
    np.testing.assert_allclose(gates["forget"], 1 / (1 + np.exp(-1)), rtol=1e-5)
    np.testing.assert_allclose(gates["input"], 1 / (1 + np.exp(1)), rtol=1e-5)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves((h, slopes((h, gates)))))


@pytest.mark.parametrize("name", CELLS)
def test_parameters_in_bfloat16_are_computed_with_in_float32(name):
    x = jnp.asarray(drawn(1, 4, 6, D)[0], jnp.float32)
    stored = made(name, jnp.bfloat16)
    graph, params = nnx.split(stored)
    wide = nnx.merge(graph, jax.tree.map(lambda a: a.astype(jnp.float32), params))
    precise = jax.default_matmul_precision("highest")
    with precise:
        low, high = RNN(stored)(x), RNN(wide)(x)
    assert low.dtype == jnp.float32
    np.testing.assert_allclose(low, high, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.usefixtures("x64")
def test_every_start_that_is_learned_has_a_say(name):
    cell = made(name, learn_initial_state=True)
    graph, params = nnx.split(cell)
    x = jnp.asarray(drawn(1, 2, T, D)[0])
    loss = lambda params: jnp.sum(jnp.sin(RNN(nnx.merge(graph, params))(x)))
    slope = jax.grad(loss)(params)["initial_state"][...]
    assert slope.shape == (len(cell.STARTS or cell.STATES), H)
    assert (np.abs(slope).max(axis=1) > 1e-6).all()
    assert set(cell.STARTS or ()) <= {*cell.STATES}
