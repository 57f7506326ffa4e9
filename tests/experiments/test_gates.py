"""experiments.gates: the means that it writes, the order of its units, and what it refuses."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from configs import verdict
from experiments import gates as gates_program
from experiments.figures import gates as figures
from experiments.measurements import gates
from experiments.train import train
from gru_jax.tasks import CumulativeSum
from tests.collected import music
from tests.programs import one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

LSTM = {"model.cell": "lstm"}
PADDED = {"task.protocol": "hochreiter", "task.length": 22}


def run_of(folder, base=None, **overrides):
    config = tiny_config(base, **overrides) if base else tiny_config(**overrides)
    return train(config, str(folder), quiet=True)


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return run_of(tmp_path_factory.mktemp("gates") / "run", verdict)


def test_the_program(words):
    out = program("gates", f"--run={words.workdir}", "--example=3", "--seed=1")
    found = json.loads((words.workdir / "gates.json").read_text())
    assert list(found) == ["reset", "update"]
    for gate in found.values():
        assert list(gate["by_token"]) == ["the", "bad", "good", "."]
        assert np.shape(gate["by_step"]) == (2, 6)
        np.testing.assert_allclose(np.mean(gate["by_step"], axis=1), gate["all"], atol=1e-3)
        for token, values in gate["by_token"].items():
            line = next(line for line in out.stdout.splitlines() if f" {token} " in line)
            assert f"({min(values):.2f}..{max(values):.2f})" in line
    assert np.asarray(Image.open(words.workdir / "gates.png").convert("L")).std() > 20
    program("gates", f"--run={words.workdir}", "--examples=9")
    fewer = json.loads((words.workdir / "gates.json").read_text())
    assert fewer == gates.means(words.task, gates.record(words, examples=9)) != found


def test_means_are_those_of_one_model_at_a_time(words):
    recorded = gates.record(words, examples=9)
    found = gates.means(words.task, recorded)
    inputs = np.asarray(recorded.batch.inputs)
    for seed, model in enumerate(words.models):
        activations = model(recorded.batch.inputs, return_activations=True)[1][0]
        for name in ("reset", "update"):
            values = np.asarray(activations[name])
            np.testing.assert_allclose(found[name]["all"][seed], values.mean(), atol=1e-4)
            expected = values.mean(axis=(0, 2))
            np.testing.assert_allclose(found[name]["by_step"][seed], expected, atol=1e-4)
            turn = values[inputs == 3].mean()
            np.testing.assert_allclose(found[name]["by_token"]["."][seed], turn, atol=1e-4)
        kept = np.asarray(activations["update"])
        scales = np.median(np.log(2) / -np.log(kept).mean(axis=1), axis=0)
        np.testing.assert_allclose(gates.time_scales(recorded)[seed], scales, rtol=1e-4)


def test_padding_does_not_count(tmp_path):
    run = run_of(tmp_path / "run", **PADDED)
    recorded = gates.record(run, examples=20)
    found = gates.means(run.task, recorded)
    assert not recorded.inside.all()
    lengths = recorded.inside.sum(axis=1)
    values = recorded.gates["update"][0]
    inside = np.concatenate([each[:length] for each, length in zip(values, lengths, strict=True)])
    np.testing.assert_allclose(found["update"]["all"][0], inside.mean(), atol=1e-4)
    lives = [
        np.log(2) / -np.log(each[:length]).mean(axis=0)
        for each, length in zip(values, lengths, strict=True)
    ]
    np.testing.assert_allclose(gates.time_scales(recorded)[0], np.median(lives, axis=0), rtol=1e-4)
    assert figures.draw(run, recorded, example=int(np.argmin(lengths)), seed=0)


def test_closed_and_open_are_shares_of_units(words):
    recorded = gates.record(words, examples=4)
    values = np.random.default_rng(0).random((2, 4, 6, 4))  # an untrained gate is never either
    found = gates.means(words.task, dataclasses.replace(recorded, gates={"reset": values}))
    closed, opened = (values < 0.1).mean(axis=(1, 3)), (values > 0.9).mean(axis=(1, 3))
    assert not np.allclose(closed, opened, atol=0.01)
    np.testing.assert_allclose(found["reset"]["closed_by_step"], closed, atol=1e-4)
    np.testing.assert_allclose(found["reset"]["open_by_step"], opened, atol=1e-4)


def test_means_stand_beside_the_rows_of_their_units(words, monkeypatch):
    monkeypatch.setattr(figures.style, "saved", lambda figure: figure)
    recorded = gates.record(words, examples=5)
    units = gates.order(recorded, 0).tolist()
    assert units != sorted(units)
    shown, side, *_ = figures.draw(words, recorded, example=1, seed=0).axes
    values = recorded.gates["reset"][0]
    np.testing.assert_array_equal(shown.images[0].get_array(), values[1][:, units].T)
    means = [bar.get_width() for bar in side.patches]
    np.testing.assert_allclose(means, values.mean(axis=(0, 1))[units], rtol=1e-5)


def test_who_keeps_everything_comes_last(words):
    recorded = gates.record(words, examples=3)
    kept = np.array([0.5, 1.0, 0.2, 0.9])[None, None, None] * np.ones((2, 3, 6, 1))
    recorded = dataclasses.replace(recorded, kept=kept)
    lives = [1.0, np.inf, np.log(2) / np.log(5), np.log(2) / -np.log(0.9)]
    np.testing.assert_allclose(gates.time_scales(recorded), [lives, lives], rtol=1e-5)
    assert gates.order(recorded, 1).tolist() == [2, 0, 3, 1]


def test_steps_that_no_example_reaches_are_left_out(tmp_path):
    run = run_of(tmp_path / "run", **PADDED)
    recorded = gates.record(run, examples=2)
    inside = recorded.inside & (np.arange(recorded.inside.shape[1]) < 20)
    found = gates.means(run.task, dataclasses.replace(recorded, inside=inside))
    assert np.shape(found["update"]["by_step"]) == (2, 20)
    assert np.isfinite(found["update"]["by_step"]).all()


def test_a_small_split_is_not_repeated_and_many_notes_leave_room_for_the_gates(tmp_path):
    config = tiny_config(**{"train.evaluation_examples": 0})
    with config.unlocked():
        config.task = {"name": "piano", "path": str(music(tmp_path)[0])}
    run = train(config, str(tmp_path / "run"), quiet=True)
    pieces = gates.available(run.task)
    assert pieces == run.task.size == 3
    recorded = gates.record(run)
    assert len(recorded.inside) == pieces
    assert figures.draw(run, recorded, pieces - 1, 0)
    assert figures._height(run.task) == 1
    out = program("gates", f"--run={run.workdir}", f"--example={pieces}", expect=2)
    assert f"--example = {pieces}: must be a whole number, in 0..{pieces - 1}" in out.stderr


def test_many_tokens_are_neither_all_in_the_legend_nor_in_the_table():
    task = CumulativeSum(100, 500)
    tokens = np.arange(100) * 5
    axis = Figure().add_subplot()
    figures._inputs(axis, task, tokens)
    named = [text.get_text() for text in axis.get_legend().get_texts()]
    assert named == [str(token) for token in tokens[: figures.NAMED]]
    by_token = {str(token): [0.5, 0.6] for token in tokens}
    shown = gates_program.table({"reset": {"all": [0.5, 0.6], "by_token": by_token}})
    assert shown.row_count == figures.NAMED
    assert f"; {100 - figures.NAMED} more tokens in gates.json" in str(shown.caption)
    few = {str(token): [0.5, 0.6] for token in tokens[: figures.NAMED + 1]}
    shown = gates_program.table({"reset": {"all": [0.5, 0.6], "by_token": few}})
    assert "; 1 more token in gates.json" in str(shown.caption)


def test_an_lstm_has_three_gates(tmp_path):
    run = run_of(tmp_path / "run", **LSTM)
    recorded = gates.record(run, examples=5)
    assert set(recorded.gates) == {"input", "forget", "output"}
    np.testing.assert_array_equal(recorded.kept, recorded.gates["forget"])
    assert jax.tree.map(np.shape, recorded.gates)["input"] == (2, 5, 6, 4)
    assert figures.draw(run, recorded, 0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--example=128"], "--example = 128: must be a whole number, in 0..127"),
        (["--examples=129"], "--examples = 129: must be a whole number, in 1..128"),
        (["--examples=4", "--example=4"], "--example = 4: must be a whole number, in 0..3"),
        (["--seed=2"], "--seed = 2: must be a whole number, in 0..1"),
        (["--layer=1"], "--layer = 1: must be 0: the run has one layer"),
        (["--run=nowhere"], "nowhere holds no run"),
    ],
)
def test_what_is_refused_takes_one_line(words, options, message):
    out = program("gates", f"--run={words.workdir}", *options, expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr


def test_a_cell_without_gates(tmp_path):
    run_of(tmp_path / "run", **{"model.cell": "vanilla"})
    out = program("gates", f"--run={tmp_path / 'run'}", expect=2)
    assert one_line(out.stderr)
    assert "config.model.cell = 'vanilla': must be one with gates" in out.stderr
    assert not (tmp_path / "run" / "gates.json").exists()
