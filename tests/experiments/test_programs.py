"""The programs as a user runs them: real processes, real folders, and the same from a notebook."""

import json
import math
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from configs import copy_memory
from experiments.evaluate import evaluate
from experiments.runs import load
from experiments.runs.records import read_metrics
from experiments.train import train
from tests.programs import ROOT, bits, one_line, program, tiny, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A tiny run made by the real command, with what it printed."""
    folder = tmp_path_factory.mktemp("run") / "run"
    printed = program("train", "--config=configs/adding.py", f"--workdir={folder}", *tiny())
    return folder, printed.stdout


@pytest.mark.quick
def test_a_run_leaves_what_the_documentation_says(finished):
    folder, printed = finished
    assert {path.name for path in folder.iterdir() if not path.name.startswith("events")} == {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "checkpoints",
        "summary.json",
        "curves.png",
    }
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["status"] == "completed"
    assert summary["step"] == 40
    assert summary["parameters"] == 3 * (2 * 4 + 16) + 16 + 5
    assert summary["baseline_loss"] == 1 / 6
    loss = summary["eval"]["loss"]
    np.testing.assert_allclose(loss["mean"], np.mean(loss["per_seed"]))
    np.testing.assert_allclose(loss["std"], np.std(loss["per_seed"], ddof=1))
    assert summary["solved_step"] == [None, None]
    for word in ("0/2 solved", "not reached", "0.1667", "curves.png", "tensorboard --logdir="):
        assert word in printed
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["packages"]["jax"] == jax.__version__
    assert "--config=configs/adding.py" in environment["command"]


@pytest.mark.quick
def test_metrics_are_complete_and_hold_no_timings(finished):
    rows = read_metrics(finished[0])
    assert [(row["step"], row["split"], row["seed"]) for row in rows] == [
        (step, split, seed)
        for step in (10, 20, 30, 40)
        for split in ("train", "eval")
        for seed in (0, 1)
    ]
    assert all(set(row) >= {"loss", "correct"} for row in rows)
    assert all(("gradient_norm" in row) == (row["split"] == "train") for row in rows)


def test_tensorboard_events_say_what_metrics_say(finished):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _ = finished
    events = EventAccumulator(str(folder)).Reload()
    found = {(e.step, e.value) for e in events.Scalars("eval_loss/seed_1")}
    rows = [r for r in read_metrics(folder) if r["split"] == "eval" and r["seed"] == 1]
    assert {(row["step"], np.float32(row["loss"])) for row in rows} == found


def test_the_same_command_again_says_that_it_is_finished(finished):
    folder, _ = finished
    before = (folder / "metrics.jsonl").read_bytes()
    again = program("train", "--config=configs/adding.py", f"--workdir={folder}", *tiny())
    assert "is finished" in again.stdout
    assert "0/2 solved" in again.stdout
    assert (folder / "metrics.jsonl").read_bytes() == before


def test_another_config_in_the_same_folder_is_refused(finished):
    folder, _ = finished
    refused = program(
        "train",
        "--config=configs/adding.py",
        f"--workdir={folder}",
        *tiny(**{"train.steps": 80}),
        expect=2,
    )
    assert one_line(refused.stderr)
    assert "config.train.steps is 40 there and 80 here" in refused.stderr


def test_a_loaded_run_gives_the_trained_models_back(finished):
    run = load(finished[0])
    assert len(run.models) == 2
    from gru_jax.tasks.base import evaluation_batch

    batch = evaluation_batch(run.task, np.arange(8))
    for model, expected in zip(run.models, run.summary["eval"]["loss"]["per_seed"], strict=True):
        loss = run.task.loss(model(batch.inputs), batch).mean()
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(
        evaluate(run)["loss"], run.summary["eval"]["loss"]["per_seed"], rtol=1e-5
    )
    assert evaluate(run, 12)["loss"] != evaluate(run)["loss"]


def test_evaluate_shows_examples_that_training_saw_and_others(finished):
    run = load(finished[0])
    printed = program("evaluate", f"--run={finished[0]}").stdout
    note = "test: examples that neither training nor its evaluations saw"
    assert note in " ".join(printed.split())
    shown = {split: evaluate(run, split=split)["loss"] for split in ("validation", "test")}
    assert shown["validation"] != shown["test"]
    for split, losses in shown.items():
        expected = f"{np.mean(losses):.4g} ({min(losses):.3g}..{max(losses):.3g})"
        assert any(f" {split} " in line and expected in line for line in printed.splitlines())


def test_evaluate_shows_a_row_and_a_point_a_length(finished, tmp_path):
    folder = shutil.copytree(finished[0], tmp_path / "run")
    printed = program("evaluate", f"--run={folder}", "--lengths=12,6").stdout
    kept = json.loads((folder / "lengths.json").read_text())
    assert list(kept) == ["12", "6"]
    run = load(folder)
    for length in (6, 12):
        losses = evaluate(run, length, "test")["loss"]
        expected = f"{np.mean(losses):.4g} ({min(losses):.3g}..{max(losses):.3g})"  # two seeds
        assert any(f" {length} " in line and expected in line for line in printed.splitlines())
        np.testing.assert_allclose(kept[str(length)]["loss"], losses, rtol=1e-5)
    assert np.asarray(Image.open(folder / "lengths.png").convert("L")).std() > 5


@pytest.mark.quick
@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("train", [], "--config is missing"),
        ("train", ["--config=configs/none.py"], "none.py"),
        (
            "train",
            ["--config=configs/adding.py", "--config.task.lenght=3"],
            "did you mean 'length'?",
        ),
        ("train", ["--config=configs/adding.py", "--config.task.length=three"], "three"),
        (
            "train",
            ["--config=configs/adding.py", "--config.task.length=1"],
            "config.task.length = 1",
        ),
        ("train", ["--config=configs/adding.py", "--config.model.cell=gruu"], "did you mean 'gru'"),
        ("train", ["--config.task.length=3"], "config"),
        ("train", ["--config=configs/adding.py", "--stesp=3"], "stesp"),
        ("train", ["--config=configs/adding.py", "steps=3"], "unexpected argument 'steps=3'"),
        ("evaluate", [], "run"),
        ("evaluate", ["--run=nowhere"], "nowhere holds no run"),
    ],
)
def test_bad_input_is_one_line_and_status_2(name, arguments, message, tmp_path):
    absolute = [a.replace("configs/", f"{ROOT}/configs/") for a in arguments]
    refused = program(name, *absolute, expect=2, cwd=tmp_path)
    assert one_line(refused.stderr), refused.stderr
    assert message in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_config_file_that_raises(tmp_path):
    (tmp_path / "mine.py").write_text("import nothing_of_that_name")
    refused = program("train", f"--config={tmp_path}/mine.py", expect=2)
    assert one_line(refused.stderr)
    assert "nothing_of_that_name" in refused.stderr


@pytest.mark.parametrize(
    ("lengths", "allowed"),
    [
        ("6,x", "--lengths = 'x': must be whole numbers up to 2147483647, separated by commas"),
        ("6,99999999999", "--lengths = '99999999999': must be whole numbers up to 2147483647"),
        ("2147483648", "length = 2147483648: must be a whole number, in 2..2147483647"),
        ("0", "length = 0: must be a whole number, at least 2"),
    ],
)
def test_bad_lengths(finished, lengths, allowed):
    refused = program("evaluate", f"--run={finished[0]}", f"--lengths={lengths}", expect=2)
    assert one_line(refused.stderr)
    assert allowed in refused.stderr


def test_the_same_from_python_without_flags(tmp_path, capsys):
    run = train(
        tiny_config(copy_memory, **{"train.target": None}), str(tmp_path / "run"), quiet=True
    )
    assert capsys.readouterr().out == ""
    assert run.summary["status"] == "completed"
    assert {row["split"] for row in run.metrics} == {"train", "eval"}
    assert len(run.models) == 2
    assert bits(load(run.workdir)) == bits(run)


def test_a_run_ends_with_the_metrics_of_validation_and_of_test_examples(finished):
    run = load(finished[0])
    for name, split in (("eval", "validation"), ("test", "test")):
        expected = evaluate(run, split=split)
        for metric, found in run.summary[name].items():
            np.testing.assert_allclose(found["per_seed"], expected[metric], rtol=1e-5)
    assert run.summary["eval"] != run.summary["test"]


def test_all_seeds_solved_ends_the_run_early(tmp_path):
    run = train(tiny_config(**{"train.target": 10.0}), str(tmp_path / "run"), quiet=True)
    assert run.summary["step"] == 20
    assert run.summary["solved_step"] == [10, 10], "the first of two evaluations in a row"


def test_a_target_that_only_the_last_evaluation_reaches_is_not_reached(tmp_path):
    short = {"train.target": 10.0, "train.steps": 10, "train.checkpoint_every": 10}
    run = train(tiny_config(**short), str(tmp_path / "run"), quiet=True)
    assert run.summary["solved_step"] == [None, None]


def test_all_seeds_out_of_patience_end_the_run_early(tmp_path):
    """No evaluation is better than the one of a model that does not move."""
    still = {"optimizer.learning_rate": 1e-30, "train.patience": 1}
    run = train(tiny_config(**still), str(tmp_path / "run"), quiet=True)
    assert run.summary["status"] == "completed"
    assert run.summary["step"] == 20
    assert run.summary["solved_step"] == run.summary["diverged_step"] == [None, None]


def test_a_population_that_diverges_says_so(tmp_path):
    config = tiny_config(
        **{"optimizer.name": "sgd", "optimizer.learning_rate": 1e15, "optimizer.clip_norm": 0.0}
    )
    run = train(config, str(tmp_path / "run"), quiet=True)
    assert run.summary["status"] == "diverged"
    assert all(step is not None for step in run.summary["diverged_step"])
    assert all(
        "NaN" not in line for line in (run.workdir / "metrics.jsonl").read_text().splitlines()
    )
    assert math.isfinite(run.summary["wall_seconds"])
    assert any(norm is not None for norm in run.summary["diverged_norm"])


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"name": 3}'])
def test_a_damaged_config_is_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    refused = program("evaluate", f"--run={tmp_path}", expect=2)
    assert one_line(refused.stderr)
