"""What the options of GRU and LSTM promise: limits, starts, parameters, and what is refused.

Their equations, with derivatives, are in test_zoo.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import RNN, FieldError, GRUCell, LSTMCell, parameter_count
from gru_jax.cells import LayerNormLSTMCell
from gru_jax.diagnostics import gates
from gru_jax.initializers import Chrono
from gru_jax.interop import to_torch
from tests.helpers import randomise

pytestmark = pytest.mark.usefixtures("least_effort")

D, H = 2, 3


def made(make, **options):
    return randomise(make(D, H, rngs=nnx.Rngs(0), **options))


def outputs(cell):
    return RNN(cell)(jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, D)), jnp.float32))


def test_peepholes_start_at_zero_and_are_then_those_of_a_plain_lstm():
    seen = LSTMCell(D, H, peepholes="all", rngs=nnx.Rngs(0))
    plain = made(LSTMCell)
    nnx.update(seen, nnx.state(plain))
    assert parameter_count(seen) == parameter_count(plain) + 3 * H
    np.testing.assert_array_equal(outputs(seen), outputs(plain))
    seen.output_gate.peephole[...] = jnp.ones(H)
    assert np.abs(outputs(seen) - outputs(plain)).max() > 1e-3


def test_a_coupled_lstm_is_one_whose_input_gate_is_turned_around():
    """1 - sigmoid(a) = sigmoid(-a)."""
    coupled, plain = made(LSTMCell, input="coupled"), made(LSTMCell)
    for name in ("forget", "candidate", "output_gate"):
        nnx.update(getattr(plain, name), nnx.state(getattr(coupled, name)))
    negated = jax.tree.map(lambda leaf: -leaf, nnx.state(coupled.forget))
    nnx.update(plain.input, negated)
    np.testing.assert_allclose(outputs(coupled), outputs(plain), rtol=1e-5, atol=1e-6)
    assert parameter_count(coupled) == parameter_count(plain) * 3 // 4


def test_an_lstm_reports_its_memory_which_is_no_gate():
    cell, x = made(LSTMCell), jnp.ones((4, D))
    (memory, _), _, found = RNN(cell, return_carry="all", return_activations=True)(x)
    np.testing.assert_array_equal(found["c"], memory)
    assert set(gates(cell, x)[0]) == {"input", "forget", "output"}


@pytest.mark.parametrize("convention", ["keep", "write"])
def test_a_refined_gate_is_uniform_at_the_start_and_goes_from_its_square_to_the_other_s(convention):
    options = {"update_gate": convention, "recurrent_init": jax.nn.initializers.zeros}
    cell = GRUCell(2, 1000, update="refined", rngs=nnx.Rngs(0), **options)
    z, sign = cell.update, 1 if convention == "keep" else -1
    share = np.asarray(jax.nn.sigmoid(sign * z.bias[...]))
    assert 0.001 <= share.min() < 0.02
    assert 0.98 < share.max() <= 0.999
    assert abs(share.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(z.refine.bias[...], -z.gate.bias[...])
    x, h = jnp.zeros(2), jnp.zeros(1000)
    f = z.gate(x, h)
    for pushed, expected in ((-50.0, f**2), (50.0, 1 - (1 - f) ** 2), (0.0, f)):
        z.refine.bias[...] = jnp.full(1000, pushed)
        np.testing.assert_allclose(z(x, h), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("forget", ["learned", "refined"])
def test_a_given_start_is_that_of_the_gate_and_is_mirrored(forget):
    for bias in (2.0, Chrono(50)):
        cell = LSTMCell(D, 8, forget=forget, keeping_bias=bias, rngs=nnx.Rngs(0))
        start = cell.forget.bias[...]
        assert (start >= 0).all()
        if forget == "refined":
            np.testing.assert_array_equal(cell.forget.refine.bias[...], -start)
    np.testing.assert_array_equal(cell.input.bias[...], -start)


def test_what_a_gate_does_not_hear_has_no_parameters():
    count = lambda **options: parameter_count(GRUCell(D, H, rngs=nnx.Rngs(0), **options))
    whole, candidate = count(), D * H + H * H + 2 * H
    assert whole == 3 * candidate - 2 * H
    both = lambda mode: {"reset": mode, "update": mode}
    assert count(**both("state")) == whole - 2 * D * H
    assert count(**both("state"), bias=("candidate", "recurrent")) == whole - 2 * D * H - 2 * H
    assert count(**both("inputs")) == whole - 2 * H * H
    assert count(**both("constant")) == candidate + H, "c_n is b_n where r is constant"
    with pytest.raises(FieldError, match="bias = 'reset'"):
        count(reset="constant", bias="reset")


@pytest.mark.parametrize("norm", ["products", "sum"])
def test_a_norm_does_not_hear_how_loud_its_kernels_are_together(norm):
    """One of the sum hears how loud W is beside U; one of each product does not."""
    cell = made(LayerNormLSTMCell, norm=norm, param_dtype=jnp.float32)
    before = outputs(cell)
    for gate in (cell.input, cell.forget, cell.candidate, cell.output_gate):
        gate.kernel[...] *= 30
    apart = np.abs(outputs(cell) - before)[:, 1:].max()
    assert (apart < 1e-3) == (norm == "products")
    for gate in (cell.input, cell.forget, cell.candidate, cell.output_gate):
        gate.recurrent_kernel[...] *= 30
    np.testing.assert_allclose(outputs(cell)[:, 1:], before[:, 1:], atol=2e-2)
    cell.input.kernel[...] *= 30
    assert np.abs(outputs(cell) - before).max() > 0.01, "the gates are normalised together"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input": "coupled", "forget": "keep"}, "input = 'coupled': must be another mode"),
        ({"input": "coupled", "forget": "replace"}, "input = 'coupled': must be another mode"),
        ({"input": "coupled", "bias": "input"}, "bias = 'input': .* all, none, forget,"),
        ({"input": "coupled", "peepholes": "input"}, "peepholes = 'input'"),
        ({"output": "open", "peepholes": ("forget", "output")}, "peepholes = 'output'"),
        ({"forget": "refined", "peepholes": "forget"}, "peepholes = 'forget'"),
        ({"peepholes": "candidate"}, "peepholes = 'candidate'"),
        ({"input": "refined"}, "input = 'refined'"),
        ({"output": "coupled"}, "output = 'coupled'"),
        ({"forget": "refined", "bias": "none", "keeping_bias": 1.0}, "keeping_bias = 1.0"),
    ],
)
def test_what_cannot_act_is_refused(options, message):
    with pytest.raises(FieldError, match=message):
        LSTMCell(D, H, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(
    ("make", "options"),
    [
        (LSTMCell, {"peepholes": "output"}),
        (LSTMCell, {"input": "coupled"}),
        (LSTMCell, {"forget": "refined"}),
        (LSTMCell, {"output": "inputs"}),
        (GRUCell, {"update": "refined"}),
        (GRUCell, {"update": "state"}),
    ],
)
def test_no_layer_of_pytorch_computes_them(make, options):
    with pytest.raises(ValueError, match="PyTorch has no layer that computes this"):
        to_torch(make(D, H, rngs=nnx.Rngs(0), **options))
