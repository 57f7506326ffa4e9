"""What a new cell takes: one file. The minimal RNN of tests/minimal_rnn.py, in every program.

The GRU beside it has a refined gate, so the programs are also those for a gate of another kind.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from experiments import gates
from experiments.evaluate import evaluate
from experiments.figures import gradients as gradient_figures
from experiments.figures import style
from experiments.runs import load
from experiments.sweeps.folder import SweepFolder
from experiments.system import own
from experiments.training.memory import needed
from gru_jax import CELLS, RNN
from gru_jax.devices import make_mesh
from tests import reference
from tests.helpers import agree, randomise, split, weights
from tests.programs import ROOT, program, tiny

pytestmark = pytest.mark.usefixtures("least_effort")

FILE = ROOT / "tests" / "minimal_rnn.py"


@pytest.fixture(autouse=True)
def minimal_rnn():
    """The cell is registered during a test, by its file and nothing else."""
    before = dict(CELLS)
    assert "minimal_rnn" not in before
    own.imported(str(FILE))
    yield CELLS["minimal_rnn"]
    CELLS.clear()
    CELLS.update(before)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("minimal_rnn") / "swept"
    out = program("sweep", f"--config={FILE}", f"--workdir={folder}", *tiny(), "--workers=1")
    assert "3 done, 0 running, 0 failed" in out.stdout
    return folder


@pytest.mark.usefixtures("x64")
def test_it_is_its_equation_and_its_gradients_are_the_plain_scans(minimal_rnn):
    cell = randomise(minimal_rnn(2, 4, param_dtype=jnp.float64, rngs=nnx.Rngs(0)))
    generator = np.random.default_rng(0)
    x, h = generator.normal(size=(3, 7, 2)), generator.normal(size=(3, 4))
    given = weights(cell)
    expected = [reference.minimal_rnn(*each, given) for each in zip(x, h, strict=True)]
    np.testing.assert_allclose(RNN(cell)(x, initial_carry=h), np.stack(expected), rtol=1e-12)

    def slopes(gradient):
        run, params = split(RNN(cell, gradient=gradient, segment=3))
        loss = lambda params, x, h: jnp.sum(jnp.sin(run(params, x, initial_carry=h)))
        return jax.grad(loss, (0, 1, 2))(params, jnp.asarray(x), jnp.asarray(h))

    agree(slopes("batched"), slopes("plain"), 1e-9)
    agree(slopes("recomputed"), slopes("plain"), 1e-9)


def test_it_is_trained_matched_in_parameters_evaluated_and_reported(swept):
    trials = SweepFolder(swept).trials()
    sizes = {name: trial.settings.experiment.parameters for name, trial in trials.items()}
    assert all(abs(size - 200) < 30 for size in sizes.values())
    assert sizes["minimal_rnn"] == sizes["minimal_rnn-chrono"]
    run = load(swept / "trials" / "minimal_rnn-chrono")
    assert run.settings.config["model"]["chrono_max"] == 5.0
    assert np.isfinite(evaluate(run)["loss"]).all()
    page = (swept / "report.html").read_text()
    assert "minimal_rnn-chrono" in page
    rows = (swept / "results.csv").read_text()
    assert rows.count("minimal_rnn") >= 2


def test_its_gates_are_shown(swept):
    run = load(swept / "trials" / "minimal_rnn")
    recorded = gates.record(run)
    assert list(recorded.gates) == ["update"]
    np.testing.assert_allclose(recorded.kept, recorded.gates["update"], rtol=1e-6)
    program("gates", f"--run={run.workdir}", f"--import={FILE}")
    assert (run.workdir / "gates.png").stat().st_size > 10_000


def test_its_gradients_are_measured_and_drawn(swept, tmp_path, monkeypatch):
    run = swept / "trials" / "minimal_rnn"
    files = [f"--config={FILE}", f"--runs={run}", f"--workdir={tmp_path}"]
    program("gradients", *files, "--inputs=1", "--exponents=1")
    found = json.loads((tmp_path / "gradients.json").read_text())
    assert found["initial"].keys() == {"gru", "minimal_rnn", "minimal_rnn-chrono"}
    assert found["after"]["minimal_rnn"]["gates"]["correlation"]["update"]
    monkeypatch.setattr(style, "saved", lambda figure: figure)
    figures = gradient_figures.figures({"initial": found["initial"]})
    titles = [axis.get_title(loc="left") for axis in figures["transport"].axes]
    assert titles == ["GRU", "MinimalRNN"]
    assert len(figures["gates"].axes) == 3


def test_its_memory_is_estimated(swept):
    """Of a unit and step the gradient keeps r, z, n, h and more in a GRU; here u, n and h."""
    trials = SweepFolder(swept).trials()
    mesh = make_mesh(2, 1)

    def per_unit(name):
        settings = trials[name].settings
        return needed(settings, mesh)[1] / sum(settings.config["model"]["hidden_sizes"])

    assert 0 < per_unit("minimal_rnn") < per_unit("gru")
