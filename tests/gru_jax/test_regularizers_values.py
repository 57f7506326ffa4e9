"""Each regulariser by value: NumPy loops given its masks, with derivatives by complex steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import CELLS, RNN, Regularizer, masking
from gru_jax.regularizers import Draws
from tests import reference_zoo
from tests.gru_jax.test_zoo import drawn, slopes
from tests.helpers import randomise, split
from tests.reference_zoo import heard, sigmoid

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("least_effort", "x64")]

B, T, D, H = 2, 5, 2, 3
KEY = jax.random.key(5)


def gru(w, x, states, kept, held):
    (h,), outputs = states, []
    for t, now in enumerate(x):
        r, z = sigmoid(heard(w["reset"], now, h)), sigmoid(heard(w["update"], now, h))
        n = np.tanh(heard(w["candidate"], now, r * h))
        h = np.where(held["h"][t], h, z * h + (1 - z) * kept[t] * n)
        outputs.append(h)
    return np.stack(outputs)


def lstm(w, x, states, kept, held):
    (c, h), outputs = states, []
    for t, now in enumerate(x):
        names = ("input", "forget", "output_gate")
        i, f, o = (sigmoid(heard(w[name], now, h)) for name in names)
        new = f * c + i * kept[t] * np.tanh(heard(w["candidate"], now, h))
        c, h = np.where(held["c"][t], c, new), np.where(held["h"][t], h, o * np.tanh(new))
        outputs.append(h)
    return np.stack(outputs)


LOOPS = {"gru": gru, "lstm": lstm}
EVERY = {"input_dropout": 0.3, "recurrent_dropout": 0.4, "candidate_dropout": 0.25}
CASES = [
    ("lstm", {"input_dropout": 0.3, "recurrent_dropout": 0.4}),
    ("gru", {**EVERY, "tied": False, "zoneout": (0.3,)}),
    (
        "lstm",
        {
            **EVERY,
            "tied": False,
            "candidate_mask": "sequence",
            "zoneout": (0.5, 0.2),
            "weight_noise": 0.1,
            "weight_drop": 0.3,
        },
    ),
]


def made(name, **options):
    return randomise(CELLS[name](D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0), **options))


def masks_of(cell, regularizer, x, rate):
    """The weights with masks for each example, the inputs, and the masks of each step."""
    steps = jnp.moveaxis(jnp.asarray(x), 1, 0)
    drawn = masking.begin(regularizer, cell, steps, Draws(KEY))
    weights = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(drawn.cell)))
    kept, none = np.ones((T, B, H)), np.zeros((T, B, H), bool)
    for found in (drawn.masks.get("candidate", {}), drawn.constant):
        kept = np.broadcast_to(found.get("candidate", kept), (T, B, H))
    held = {name: np.asarray(drawn.masks.get("held", {}).get(name, none)) for name in cell.STATES}
    return weights, np.moveaxis(np.asarray(drawn.steps), 0, 1), kept / (1 - rate), held


def of_example(weights, i):
    """A mask has one row for each example, and a parameter is for all."""
    chosen = lambda path, value: value[i] if "mask" in path[-1].key else value
    return jax.tree.map_with_path(chosen, weights)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_values_and_derivatives_are_those_of_a_loop_that_is_given_the_masks(name, options):
    regularizer = Regularizer(**options)
    cell = made(name, **({"reset_after": False} if name == "gru" else {}))
    run, params = split(RNN(cell, gradient="batched", segment=2, regularizer=regularizer))
    x, states = drawn(1, B, T, D)[0], drawn(len(cell.STATES), B, H, seed=1)
    weights = drawn(1, B, T, H, seed=2)[0]
    carry = lambda states: tuple(states) if len(states) > 1 else states[0]

    def ours(params, x, states):
        outputs = run(params, x, initial_carry=carry(states), key=KEY)
        return jnp.sum(weights * outputs), outputs

    found = jax.jit(jax.value_and_grad(ours, (0, 1, 2), has_aux=True))(
        params, x, jax.tree.map(jnp.asarray, states)
    )
    (_, outputs), gradients = jax.tree.map(np.asarray, found)
    rate = regularizer.candidate_dropout
    masked, steps, kept, held = masks_of(cell, regularizer, x, rate)
    pure = jax.tree.map(np.asarray, nnx.to_pure_dict(params)["cell"])
    outer = np.divide(steps, x)  # the tied mask on the inputs, which the loop is given masked

    def theirs(given):
        found = []
        for i in range(B):
            w = {n: {**of_example(masked[n], i), **gate} for n, gate in given["cell"].items()}
            start = [s[i] for s in given["states"]]
            at = {n: h[:, i] for n, h in held.items()}
            found.append(LOOPS[name](w, given["x"][i] * outer[i], start, kept[:, i], at))
        return np.stack(found)

    params_only = {n: {p: masked[n][p] for p in gate} for n, gate in pure.items() if n in masked}
    params_only = {n: gate for n, gate in params_only.items() if gate}
    given = {"cell": params_only, "x": x, "states": states}
    np.testing.assert_allclose(outputs, theirs(given), rtol=1e-12, atol=1e-14)
    expected = slopes(lambda given: np.sum(weights * theirs(given)), given)
    if regularizer.weight_drop:  # of the weights themselves, behind their mask
        for gate_name, gate in expected["cell"].items():
            kernel = masked[gate_name]["recurrent_kernel"]
            gate["recurrent_kernel"] *= (kernel != 0) / (1 - regularizer.weight_drop)
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    jax.tree.map(close, nnx.to_pure_dict(gradients[0])["cell"], expected["cell"])
    jax.tree.map(close, list(gradients[1:]), [expected["x"], expected["states"]])


def test_gates_that_make_their_products_themselves_hear_a_masked_state():
    regularizer = Regularizer(input_dropout=0.3, recurrent_dropout=0.4)
    untied = Regularizer(input_dropout=0.3, recurrent_dropout=0.4, tied=False)
    cells = {
        "brc": (made("brc"), untied, {}),
        "exprnn": (made("exprnn"), regularizer, {}),
        "antisymmetric": (made("antisymmetric", gated=True), untied, {"gated": True}),
    }
    x, h = drawn(1, B, T, D)[0], drawn(1, B, H, seed=1)[0]
    run = lambda n: RNN(cells[n][0], regularizer=cells[n][1])(x, initial_carry=h, key=KEY)
    found = jax.jit(lambda: {n: run(n) for n in cells})()
    for name, (cell, chosen, options) in cells.items():
        masked, steps, *_ = masks_of(cell, chosen, x, 0)
        loop = getattr(reference_zoo, name)
        for i in range(B):
            expected = loop(of_example(masked, i), steps[i], [h[i]], **options)
            np.testing.assert_allclose(found[name][i], expected, rtol=1e-11, atol=1e-13)


def test_zoneout_without_a_key_is_its_expectation():
    cell = made("lstm")
    x = drawn(1, T, D)[0]
    weights = jax.tree.map(np.asarray, nnx.to_pure_dict(nnx.state(cell)))
    c, h = drawn(2, H, seed=1)
    (last, outputs) = RNN(cell, regularizer=Regularizer(zoneout=(0.5, 0.2)))(
        x, initial_carry=(jnp.asarray(c), jnp.asarray(h)), return_carry=True
    )
    for t, now in enumerate(x):
        i, f, o = (sigmoid(heard(weights[n], now, h)) for n in ("input", "forget", "output_gate"))
        new = f * c + i * np.tanh(heard(weights["candidate"], now, h))
        c, h = 0.5 * c + 0.5 * new, 0.2 * h + 0.8 * o * np.tanh(new)
        np.testing.assert_allclose(outputs[t], h, rtol=1e-12)
    np.testing.assert_allclose(last[0], c, rtol=1e-12)


@pytest.mark.parametrize("name", CELLS)
def test_no_gate_of_any_cell_hears_what_is_masked(name):
    cell = made(name)
    states = [jnp.asarray(state) for state in drawn(len(cell.STATES), H)]
    x = jnp.asarray(drawn(1, D, seed=3)[0])
    carry = lambda last: (*states[:-1], last) if len(states) > 1 else last
    deaf = lambda attribute, size: masking.with_masks(
        cell, attribute, [jnp.zeros(size)] * len(masking.gates(cell))
    )
    found, expected = (
        deaf("input_mask", D).step(carry(states[-1]), x),
        cell.step(carry(states[-1]), jnp.zeros(D)),
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), found, expected)
    if all(gate.recurrent_kernel is None for gate in masking.gates(cell).values()):
        return
    # A gate that still heard the state would make units depend on each other.
    step = lambda last: deaf("state_mask", H).step(carry(last), x)[0]
    for slope in jax.tree.leaves(jax.jit(jax.jacobian(step))(states[-1])):
        assert not (slope - np.diag(np.diag(slope))).any()


@pytest.mark.parametrize("name", ["min_gru", "lru"])
def test_many_steps_at_once_are_regularised_alike(name):
    options = {} if name == "lru" else {"candidate_dropout": 0.3}
    cell, x = made(name), jnp.asarray(drawn(1, B, T, D)[0])
    regularizer = Regularizer(input_dropout=0.2, zoneout=(0.3,), weight_noise=0.1, **options)

    @jax.jit
    def run(x):
        found = [
            RNN(cell, recurrence=way, regularizer=regularizer)
            for way in ("scan", "associative", "chunked")
        ]
        return [(rnn(x, key=KEY), rnn(x)) for rnn in found]

    scanned, *others = run(x)
    for other in others:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10), other, scanned)
