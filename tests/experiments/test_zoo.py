"""Each further cell in the programs: trained, read back, shown, measured, with its memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import gates
from experiments.evaluate import evaluate
from experiments.runs import load
from experiments.runs.state import abstract_state
from experiments.settings.resolution import resolve
from experiments.train import train
from experiments.training import memory
from gru_jax import CELLS, FieldError, training
from gru_jax.devices import make_mesh
from gru_jax.diagnostics import dynamics, jacobians, lyapunov_exponents
from tests.helpers import CLASSIC
from tests.programs import tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

# To a program these are gated cells like others: each trial of one takes seconds of the suite.
ALIKE = ("mgu", "mut1", "mut3", "li_gru", "ln_gru", "ln_lstm", "brc", "min_gru")
ZOO = [name for name in CELLS if name not in (*CLASSIC, *ALIKE)]
GATELESS = ("antisymmetric", "exprnn", "indrnn")
# Of each kind one: linear in its state, one state with and without gates, two states, and four.
KINDS = ["min_lstm", "lru", "janet", "exprnn", "lem", "slstm"]


@pytest.mark.parametrize("name", ZOO)
def test_it_is_trained_read_back_and_shown(name, tmp_path):
    options = {"model.cell": name, "model.hidden_sizes": (8,), "train.steps": 20}
    run = train(tiny_config(**options), str(tmp_path / "run"), quiet=True)
    assert run.summary["status"] == "completed"
    losses = [row["loss"] for row in run.metrics if row["split"] == "train"]
    assert np.isfinite(losses).all()
    assert losses[0] != losses[-1], "it has not moved"
    read = load(tmp_path / "run")
    np.testing.assert_array_equal(evaluate(read)["loss"], evaluate(run)["loss"])
    keeping = CELLS[name].KEEPING_GATE
    if keeping:
        assert keeping in gates.record(read).gates
    elif name in GATELESS:
        with pytest.raises(FieldError, match="must be one with gates"):
            gates.record(read)


@pytest.mark.parametrize("name", KINDS)
def test_it_is_measured(name):
    experiment = resolve(tiny_config(**{"model.cell": name, "model.hidden_sizes": (8,)})).experiment
    model = experiment.build(nnx.Rngs(0))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(12, 2)), jnp.float32)
    system = dynamics(model, x)
    found = jax.jit(lambda x: (jacobians(model, x).log_largest, lyapunov_exponents(model, x, 1)))(x)
    one = jax.jacrev(lambda state: system.step(system.params, state, x[-1]))
    first = one(system.states(x)[-2])
    np.testing.assert_allclose(np.exp(found[0][0]), np.linalg.norm(first, 2), rtol=1e-3)
    assert (found[1] < np.inf).all()  # minus infinity where no unit of a ReLU is active


@pytest.mark.parametrize("name", KINDS)
def test_its_memory_is_estimated(name):
    # A state is too wide for `recurrence` to be other than "scan", where XLA shares more arrays.
    sizes = {"model.hidden_sizes": (32,), "train.batch_size": 48, "task.length": 100}
    settings = resolve(tiny_config(**{"model.cell": name, **sizes}))
    mesh = make_mesh(*settings.mesh_sizes)
    states, passes = memory.needed(settings, mesh)
    state = abstract_state(settings)
    taken = training.train_chunk.lower(settings.experiment, mesh, state).compile().memory_analysis()
    whole = taken.argument_size_in_bytes + taken.temp_size_in_bytes
    assert 0.6 < (states + passes) / whole < 1.05
