"""Time scales of memory, of gates and of units: against theory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import CELLS, FieldError, GRUCell, LSTMCell
from gru_jax.diagnostics import gate_half_life, gates, jacobians, kept, own_half_life
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
