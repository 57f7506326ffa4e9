"""What an evaluation measures, and what is written about values that are not finite."""

import dataclasses
import shutil

import numpy as np
import pytest

from configs import digits, formal_language
from experiments.evaluate import evaluate
from experiments.measurements import gates
from experiments.runs import load
from experiments.runs.metrics import MetricsFile
from experiments.train import train
from gru_jax import FieldError, training
from gru_jax.devices import make_mesh
from tests.programs import ROOT, one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

GOLDEN = ROOT / "tests" / "golden" / "sweep" / "trials" / "lstm"  # 8 examples an evaluation


@pytest.fixture(scope="module")
def run():
    return load(GOLDEN)


@pytest.mark.parametrize("length", [None, 6])
def test_more_examples_begin_with_those_of_the_run(run, length):
    assert evaluate(run, length, examples=8) == evaluate(run, length)
    task = run.task if length is None else run.task.with_length(length)
    experiment = run.settings.experiment
    whole = dataclasses.replace(experiment, task=task, evaluation_examples=24)
    state = dataclasses.replace(run.state, params=run.state.final)
    expected = training.evaluate(whole, make_mesh(*run.settings.mesh_sizes), state)
    found = evaluate(run, length, examples=24)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-5)
    assert found != evaluate(run, length)


def test_strings_of_the_length_of_training_and_gates_over_longer_ones(tmp_path):
    config = tiny_config(formal_language, **{"task.length": 4, "task.longest": 7})
    run = train(config, str(tmp_path / "run"), quiet=True)
    experiment = dataclasses.replace(run.settings.experiment, task=run.task.with_length(4))
    exact = dataclasses.replace(
        run, settings=dataclasses.replace(run.settings, experiment=experiment)
    )
    assert evaluate(run, 4) == evaluate(exact) != evaluate(run)
    assert gates.record(run).inside.shape[1] == 8


def test_numbers_of_examples_that_cannot_be(run):
    for examples in (0, 12, True, 8.0):
        with pytest.raises(FieldError, match=r"^examples = .*: must be a (multiple of 8|whole)"):
            evaluate(run, examples=examples)


def test_a_data_set_has_the_length_of_its_data_and_no_other(tmp_path):
    config = digits.get_config()
    config.train.update({"steps": 2, "log_every": 1, "checkpoint_every": 2, "batch_size": 2})
    config.population.seeds = 1
    train(config, str(folder := tmp_path / "run"), quiet=True)
    run = load(folder)
    assert evaluate(run, run.task.length) == evaluate(run)
    shown = program("evaluate", f"--run={folder}", f"--lengths={run.task.length}").stdout
    assert "length (test)" in shown
    blind = [t.baseline_loss for t in (run.task, run.task.judged_on("test"))]
    assert f"{blind[1]:.4g}" in shown
    assert f"{blind[0]:.4g}" not in shown
    refused = program("evaluate", f"--run={folder}", "--lengths=9", expect=2)
    assert one_line(refused.stderr)
    assert "length = 9: must be 64, the length of the data" in refused.stderr


def test_the_program_takes_more_examples(tmp_path):
    folder = shutil.copytree(GOLDEN, tmp_path / "run")
    shown = program("evaluate", f"--run={folder}", "--examples=16", "--lengths=4,6").stdout
    assert "16 examples; test:" in shown
    refused = program("evaluate", f"--run={folder}", "--examples=12", expect=2)
    assert one_line(refused.stderr)
    assert "--examples = 12: must be a multiple of 8, the run's config.train" in refused.stderr


def test_values_that_are_not_finite_are_written_without_a_word(tmp_path, caplog, capfd):
    file = MetricsFile(tmp_path, 0)
    file.write([{"step": 1, "split": "eval", "seed": 0, "loss": None}])
    file.close()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
