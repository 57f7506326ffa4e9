"""A cell claims to be a standard one only where it computes what that does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import CELLS, RNN, GRUCell, LSTMCell, Regularizer, SequenceModel, VanillaCell
from gru_jax.interop import from_linen, from_torch, to_torch
from gru_jax.layers import Layer
from tests.helpers import CLASSIC, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

# Of every option of these cells, the values that may change what is computed; None where the option
# changes only the start. A new option must be entered here, and so is compared.
OPTIONS = {
    "reset_after": [False],
    "update_gate": ["write"],
    "reset": ["open", "inputs", "state", "constant"],
    "update": ["keep", "replace", "constant", "inputs", "state", "refined"],
    "input": ["open", "inputs", "state", "constant", "coupled"],
    "forget": ["keep", "replace", "constant", "inputs", "state", "refined"],
    "output": ["open", "inputs", "state", "constant"],
    "peepholes": ["all"],
    "bias": ["none"],
    "gate_activation": ["hard_sigmoid"],
    "activation": ["relu", "softsign", "identity"],
    "keeping_bias": None,
    "recurrent_start": None,
    "scale": None,
}
CASES = [
    (make, {name: value})
    for make in CLASSIC.values()
    for name in make.options()
    for value in OPTIONS[name] or [make.options()[name]]
]


def textbook(form, x, carry):
    """The new carry of the equations that a cell claims to be, from its gates' arrays alone."""
    array = lambda parameter: 0.0 if parameter is None else np.asarray(parameter[...])
    act = lambda function, a: np.asarray(function(jnp.asarray(a, jnp.float32)))
    h = carry[-1] if form.equations == "lstm" else carry

    def parts(name):
        gate = form.gates[name]
        return x @ array(gate.kernel) + array(gate.bias), h @ array(gate.recurrent_kernel)

    gate = lambda name: act(form.gate_activation, sum(parts(name)))
    if form.equations == "lstm":
        candidate = act(form.activation, sum(parts("candidate")))
        c = gate("forget") * carry[0] + gate("input") * candidate
        return c, gate("output") * act(form.activation, c)
    across, hidden = parts("candidate")
    if form.equations == "vanilla":
        return act(form.activation, across + hidden)
    r, z = gate("reset"), gate("update")
    if form.equations == "gru":
        inner = r * (hidden + array(form.recurrent_bias))
    else:
        inner = (r * h) @ array(form.gates["candidate"].recurrent_kernel)
    return z * h + (1 - z) * act(form.activation, across + inner)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("make", "options"), CASES, ids=lambda part: str(getattr(part, "TITLE", part))
)
def test_what_claims_standard_equations_has_them(make, options):
    cell = randomise(make(3, 4, rngs=nnx.Rngs(0), **options))
    form = cell.form()
    if form is None or form.unusual:
        gates = {"update", "reset", "input", "forget", "output"}
        assert options.keys() & (gates | {"update_gate", "peepholes"})
        return
    random = np.random.default_rng(1)
    carry = jax.tree.map(
        lambda state: random.normal(size=state.shape).astype(np.float32),
        cell.initialize_carry((2, 3)),
    )
    x = random.normal(size=(2, 3)).astype(np.float32)
    actual, _ = cell.step(jax.tree.map(jnp.asarray, carry), jnp.asarray(x))
    for mine, expected in zip(
        jax.tree.leaves(actual), jax.tree.leaves(textbook(form, x, carry)), strict=True
    ):
        np.testing.assert_allclose(mine, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.quick
def test_other_cells_claim_none():
    for name in CELLS.keys() - CLASSIC.keys():
        assert CELLS[name](3, 4, rngs=nnx.Rngs(0)).form() is None
    with pytest.raises(
        ValueError, match="PyTorch has no layer that computes this SimpleCell: it is"
    ):
        to_torch(RNN(nnx.SimpleCell(3, 4, rngs=nnx.Rngs(0))))


@pytest.mark.quick
@pytest.mark.parametrize("convert", [from_torch, from_linen])
def test_what_is_no_source_at_all(convert):
    with pytest.raises(TypeError, match=r"^source is 3: must be a "):
        convert(GRUCell(3, 4, rngs=nnx.Rngs(0)), 3)


@pytest.mark.quick
def test_a_gate_that_has_more_parameters_is_not_usual():
    cell = LSTMCell(3, 4, peepholes="output", rngs=nnx.Rngs(0))
    with pytest.raises(
        ValueError, match="its output gate is not a learned function of input and s"
    ):
        to_torch(cell)


@pytest.mark.quick
@pytest.mark.parametrize("both", [False, True])
def test_no_other_library_holds_states_as_zoneout_does(both):
    options = {"hidden_sizes": (3,), "bidirectional": both, "rngs": nnx.Rngs(0)}
    make = lambda **rates: SequenceModel(GRUCell, 2, 1, regularizer=Regularizer(**rates), **options)
    held = make(zoneout=(0.1,))
    for part in (held, held.layers[0], held.layers[0].forward):
        with pytest.raises(ValueError, match=r"zoneout = \(0.1,\): must be \(\)"):
            to_torch(part)
    assert to_torch(make(input_dropout=0.5)).keys() == to_torch(make()).keys()


def test_a_step_of_ones_own_is_not_that_of_the_class_above():
    class Louder(GRUCell):
        def step(self, h, x):
            h, activations = super().step(h, x)
            return 2 * h, activations

    class Renamed(GRUCell):
        TITLE = "the same"

    assert Louder(3, 4, rngs=nnx.Rngs(0)).form() is None
    assert Renamed(3, 4, rngs=nnx.Rngs(0)).form().equations == "gru"
    assert LSTMCell(3, 4, rngs=nnx.Rngs(0)).form().equations == "lstm"
    assert VanillaCell(3, 4, rngs=nnx.Rngs(0)).form().equations == "vanilla"


def test_a_layer_that_runs_backwards_alone_is_not_taken_for_one_that_runs_forwards():
    cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match="reverse = True: must be False"):
        to_torch(RNN(cell, reverse=True))
    with pytest.raises(ValueError, match="reverse = True: must be False"):
        to_torch([RNN(cell), RNN(cell, reverse=True)])
    both = to_torch(Layer(RNN(cell), RNN(cell)))
    assert both.keys() == to_torch(Layer(RNN(cell), RNN(cell, reverse=True))).keys()
