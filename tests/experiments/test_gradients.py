"""experiments.gradients: what it measures, keeps and draws, and what it refuses."""

import json
import math
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import stats

from experiments.figures import gradients as figures
from experiments.figures import style
from experiments.measurements.gradients import VECTORS, _less, check, measure
from experiments.runs.state import start
from experiments.settings.resolution import resolve
from experiments.stats.outcomes import quartiles
from experiments.system.files import RunError
from experiments.train import train
from gru_jax import FieldError, diagnostics
from gru_jax.tasks.base import evaluation_batch
from tests.programs import one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

SWEEP = """
from tests.programs import tiny_config

def get_config():
    return tiny_config()

def sweep(add):
    add("gru-bias0", {"model.cell": "gru"})
    add("lstm", {"model.cell": "lstm"})
    add("tanh-1", {"model.cell": "vanilla"})
    add("relu-0", {"model.cell": "vanilla", "model.vanilla.activation": "relu",
                   "model.vanilla.scale": 0.0})
"""
CURVES = ("transport", "loss", "weights", "largest")


def strict(path):
    """JSON without NaN or Infinity."""

    def refuse(name):
        raise AssertionError(name)

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gradients")
    file, runs = folder / "some_cells.py", folder / "runs"
    file.write_text(SWEEP)
    program("sweep", f"--config={file}", f"--workdir={runs}", "--only=gru*")
    options = [f"--config={file}", f"--workdir={folder / 'out'}", f"--runs={runs}", "--inputs=2"]
    return folder / "out", options, program("gradients", *options)


@pytest.mark.parametrize(("loss", "least"), [(0.1, 0.1), (2.0, 1e-16)])
def test_axes_fit_the_data(monkeypatch, loss, least):
    monkeypatch.setattr(style, "saved", lambda figure: figure)
    curve = [-loss * lag for lag in range(20)] + [None]
    values = {"low": curve, "median": curve, "high": curve}
    group = {"gru": {"cell": "gru", "lags": list(range(21)), "transport": values}}
    figure = figures._families(group, "transport", "carried")
    assert figure.axes[0].get_ylim() == pytest.approx((least, 10))
    assert all(tick == int(tick) for tick in figure.axes[0].get_xticks())


def test_every_trial_is_measured_and_drawn(measured):
    folder, _, out = measured
    found = strict(folder / "gradients.json")
    assert list(found["initial"]) == ["gru-bias0", "lstm", "tanh-1", "relu-0"]
    assert list(found["before"]) == list(found["after"]) == ["gru-bias0"]
    assert found["environment"]["packages"]["jax"]
    for result in (*found["initial"].values(), *found["after"].values()):
        for name in CURVES:
            low, median, high = (
                [-math.inf if v is None else v for v in result[name][part]]
                for part in ("low", "median", "high")
            )
            assert low <= median <= high
        assert result["seeds"] == 2
        assert result["inputs"] == 2
        assert len(result["horizon"]) == 3
        assert result["commit"] == found["environment"]["commit"]
    assert found["initial"]["relu-0"]["transport"]["median"][1:] == [None] * 6
    assert found["initial"]["relu-0"]["horizon"] == [0, 0, 0]
    assert found["initial"]["gru-bias0"]["gates"]["units"]["gate"]["median"]
    assert "gates" not in found["initial"]["tanh-1"]
    assert all(found["initial"]["lstm"]["gates"]["correlation"]["output"])
    # Before training is what the same config is at initialisation, and training changes it.
    before, after, initial = (found[when]["gru-bias0"] for when in ("before", "after", "initial"))
    assert all(each.pop("seconds") > 0 for each in (before, after, initial))
    assert before == initial
    assert after != before
    drawn = out.stdout.split("figures:")[1].replace(",", " ").split()
    assert {path.rsplit("/", 1)[1] for path in drawn} == {
        f"{name}.png"
        for name in (
            "transport",
            "loss",
            "weights",
            "exponents",
            "gates",
            "trained",
            "trained_gates",
        )
    }
    for path in drawn:
        image = np.asarray(Image.open(path).convert("L"))
        assert image.std() > 5, f"{path} is empty"


def test_started_again_it_measures_what_is_missing(measured):
    folder, options, _ = measured
    before = strict(folder / "gradients.json")
    (folder / "initial" / "lstm.json").unlink()
    out = program("gradients", *options)
    assert [line for line in out.stdout.splitlines() if line[0] == "["] == ["[2/6] initial lstm"]
    after = strict(folder / "gradients.json")
    for found in (before, after):
        del found["environment"], found["initial"]["lstm"]["seconds"]
    assert after == before


def test_killed_on_another_host_it_goes_on_with_force(measured):
    folder, options, _ = measured
    (folder / "lock.json").write_text('{"host": "far", "pid": 12}')
    assert "--force takes over" in program("gradients", *options, expect=2).stderr
    program("gradients", *options, "--force")
    assert not (folder / "lock.json").exists()


def test_a_small_split_is_not_repeated():
    config = tiny_config(**{"train.evaluation_examples": 0})
    with config.unlocked():
        config.task = {"name": "digits"}
    settings = resolve(config)
    size = settings.experiment.task.size
    check(settings, size)
    with pytest.raises(FieldError, match=rf"--inputs = {size + 1}: must be .* in 1\.\.{size}"):
        check(settings, size + 1)


def test_other_options_need_another_folder(measured):
    _, options, _ = measured
    out = program("gradients", *options, "--inputs=3", expect=2)
    assert one_line(out.stderr)
    assert "was measured of something else" in out.stderr


def test_what_an_earlier_version_has_measured_is_not_mixed_with_this_ones(tmp_path, measured):
    folder, options, _ = measured
    shutil.copytree(folder, tmp_path / "out")
    path = tmp_path / "out" / "initial" / "lstm.json"
    path.write_text(json.dumps({"asked": strict(path)["asked"], "horizon": [3, 4]}))
    options = [options[0], f"--workdir={tmp_path / 'out'}", *options[2:]]
    out = program("gradients", *options, expect=2)
    assert one_line(out.stderr)
    assert "or by an earlier version" in out.stderr


def test_what_is_measured_is_what_the_library_says():
    config = tiny_config()
    settings = resolve(config)
    state = start(settings)
    result = measure(settings, state, inputs=3, exponents=2)
    experiment = settings.experiment
    batch = evaluation_batch(experiment.task, jnp.arange(3))
    logs, horizons, tops, responses, resets, halves, largest = [], [], [], [], [], [], []
    vectors = diagnostics.random_vectors(jax.random.key(0), VECTORS, 4)
    for seed in range(2):
        model = experiment.model(jax.tree.map(lambda a, seed=seed: a[seed], state.params))
        for index in range(3):
            one = jax.tree.map(lambda a, index=index: a[index], batch)
            loss = lambda outputs, one=one: jnp.sum((outputs[0] - one.targets) ** 2)
            gradient = diagnostics.loss_gradient(model, one.inputs, loss)
            logs.append(gradient.log_state - gradient.log_state[0])
            horizons.append(diagnostics.horizon(gradient.log_state))
            carried = diagnostics.transport(model, one.inputs, vectors).mean(axis=0)
            responses.append(diagnostics.input_response(carried, one.inputs))
            tops.append(diagnostics.lyapunov_exponents(model, one.inputs, 2)[0])
            (gates,) = diagnostics.gates(model, one.inputs)
            resets.append(gates["reset"].mean(axis=0))
            products = diagnostics.jacobians(model, one.inputs)
            largest.append(products.log_largest)
            halves.append(diagnostics.own_half_life(products.log_own[0]))
    expected = [quartiles(column) for column in np.transpose(logs)[result["lags"]]]
    found = np.transpose([result["loss"][name] for name in ("low", "median", "high")])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(result["horizon"], quartiles(horizons))
    assert result["largest_lags"] == list(range(1, 7))
    expected = [quartiles(column) for column in np.transpose(largest)]
    found = np.transpose([result["largest"][name] for name in ("low", "median", "high")])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4)
    expected = [quartiles(column) for column in np.transpose(responses)]
    found = np.transpose([result["response"][name] for name in ("low", "median", "high")])
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-5)
    gates = result["gates"]
    ranks = [stats.spearmanr(*pair).statistic for pair in zip(resets, halves, strict=True)]
    np.testing.assert_allclose(gates["correlation"]["reset"], quartiles(ranks), rtol=1e-4)
    np.testing.assert_allclose(gates["half_life"]["own"], quartiles(np.ravel(halves)), rtol=1e-4)
    of_units = np.moveaxis(np.reshape(halves, (2, 3, 4)), 1, 2).reshape(8, 3)
    expected = np.transpose([quartiles(unit) for unit in of_units])
    found = [gates["units"]["own"][part] for part in ("low", "median", "high")]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    halves = np.log(2) / -np.asarray(tops)
    np.testing.assert_allclose(result["half_life"], quartiles(halves), rtol=1e-3)


def test_a_state_beyond_all_numbers_is_not_taken_for_one_that_carries_nothing():
    options = {"model.cell": "vanilla", "model.vanilla.activation": "relu", "task.length": 400}
    options |= {"model.hidden_sizes": (16,), "model.vanilla.scale": 8.0}
    settings = resolve(tiny_config(**options))
    with pytest.raises(RunError, match=r"length = 400: the state of a vanilla grows beyond"):
        measure(settings, start(settings), inputs=2, exponents=2)


def test_nothing_carried_is_minus_infinity_also_relative_to_nothing():
    logs = jnp.array([-jnp.inf, 0.0, -1.0])
    np.testing.assert_array_equal(_less(logs, jnp.float32(-1)), [-np.inf, 1, 0])
    assert (_less(logs[:1], logs[0]) == -jnp.inf).all()


def test_a_run_without_a_checkpoint(tmp_path, measured):
    _, options, _ = measured
    config = tiny_config()
    train(config, str(tmp_path / "run"), quiet=True)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    options = [options[0], f"--workdir={tmp_path / 'out'}", f"--runs={tmp_path / 'run'}"]
    out = program("gradients", *options, expect=2)
    assert one_line(out.stderr)
    assert "no checkpoint yet" in out.stderr
    assert "[1/" not in out.stdout  # said before anything is measured


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--config.task.protocol=hochreiter", "--config.task.length=22"],
            "one whose examples have one length",
        ),
        (["--config.model.bidirectional=True"], "a lag needs one direction"),
        (["--inputs=0"], "--inputs = 0"),
        (["--only=nothing-*"], "--only=nothing-* matches none of the"),
        (["--runs=nowhere"], "holds neither a sweep nor a run"),
    ],
)
def test_what_is_refused_takes_one_line(tmp_path, measured, options, message):
    _, given, _ = measured
    out = program("gradients", given[0], f"--workdir={tmp_path / 'out'}", *options, expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr
    assert not (tmp_path / "out").exists()
