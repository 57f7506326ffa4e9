"""Time scales of memory, of gates and of units: against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import CELLS, FieldError, GRUCell, LSTMCell, Regularizer
from gru_jax.cells import LEMCell
from gru_jax.diagnostics import gate_half_life, gates, half_life, jacobians, kept, own_half_life
from tests.recurrent_models import H, T, cell, sequence, stacked

pytestmark = pytest.mark.usefixtures("least_effort", "x64")


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


@pytest.mark.quick
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


def test_zoneout_holds_a_share_of_what_the_gate_lets_go():
    """What c before a step adds to c after it, where nothing else carries it."""
    held = Regularizer(zoneout=(0.9, 0.3))
    model, plain = (
        stacked(LSTMCell, hidden_sizes=(H,), regularizer=each) for each in (held, Regularizer())
    )
    x = sequence(1)
    (share,), (gate,) = kept(model, x), kept(plain, x)
    np.testing.assert_allclose(share, 0.9 + 0.1 * gate, rtol=1e-12)
    start = jnp.zeros(H)

    def after(c):
        (carry,) = model.recur(x, ((c, start),), return_activations=False)[0]
        return carry[0]

    own = jnp.diagonal(jax.jacobian(after)(start))
    np.testing.assert_allclose(share[0], own, rtol=1e-9)


def test_the_gate_of_a_lem_is_that_of_its_memory():
    model = cell(LEMCell)
    for gate in (model.memory, model.candidate):
        gate.recurrent_kernel[...] = jnp.zeros((H, H))
    for gate, bias in ((model.memory_step, -3.0), (model.output_step, 3.0)):
        gate.recurrent_kernel[...] = jnp.zeros((H, H))
        gate.bias[...] = jnp.full(H, bias)
    x = sequence(100)
    (shares,), (own,) = kept(model, x), jacobians(model, x).log_own
    np.testing.assert_allclose(jnp.cumsum(jnp.log(shares)[::-1], axis=0), own, rtol=1e-9)


@pytest.mark.quick
def test_what_is_no_number_has_no_half_life():
    nan = jnp.full(3, jnp.nan)
    assert np.isnan(half_life(nan)).all()
    assert np.isnan(own_half_life(nan[None])).all()
    assert np.isnan(gate_half_life(nan[None])).all()
    np.testing.assert_allclose(gate_half_life(jnp.array([[-0.5, 0.5]])), 1)


def test_the_mean_of_logarithms_and_not_of_gates():
    """With z = 0.99 in 90 % of the steps and 0.01 in 10 %, an e-fold takes 2.1 steps.

    The mean of z would suggest 9.3.
    """
    z = jnp.where(jnp.arange(100) % 10 == 0, 0.01, 0.99)[:, None]
    e_fold = gate_half_life(z) / jnp.log(2)
    np.testing.assert_allclose(e_fold, 2.13, atol=0.01)


def test_a_unit_that_has_not_fallen_is_censored():
    logs = jnp.log(jnp.array([[0.9, 0.4, 0.6], [0.8, 0.3, 0.0]]))
    found = own_half_life(logs)
    np.testing.assert_allclose(found[0], 2)
    np.testing.assert_allclose(found[1], np.log(0.5) / np.log(0.4))
    np.testing.assert_allclose(found[2], 2)


@pytest.mark.quick
def test_candidates_are_no_gates():
    found = {name: set(gates(cell(make), sequence())[0]) for name, make in CELLS.items()}
    assert found["cornn"] == set()
    assert found["lem"] == {"memory_step", "output_step"}
    assert found["gru"] == {"reset", "update"}
    assert found["lstm"] == {"input", "forget", "output"}
    for name, make in CELLS.items():
        assert found[name].isdisjoint({*make.CANDIDATES, *make.STATES, "candidate"}), name


def test_a_model_of_both_directions_has_no_gates_at_a_time():
    model = stacked(GRUCell, bidirectional=True)
    for measure in (gates, kept):
        with pytest.raises(FieldError, match="bidirectional = True: must be False"):
            measure(model, sequence())
