"""CogScale's protocol in PyTorch is ours: its losses, its scores, and the model that it keeps."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs import cogscale as protocol
from configs.sweeps import cogscale as sweep
from experiments.datasets.sources import load_task
from experiments.system.files import RunError
from gru_jax.streams import TEST
from scripts.paper import cogscale, cogscale_torch


def row_of(task, cell):
    return next(
        row
        for row in sweep.published()
        if (row["task"], sweep.size(row), row["model"]) == (task, ("small", 1000), cell)
    )


@pytest.mark.parametrize("problem", ["simple_copy", "cross_situation", "continuous_postcasting"])
def test_its_loss_and_its_error_are_those_of_the_task(torch, problem):
    task = load_task("cogscale", problem=problem, difficulty="small").judged_on(TEST)
    examples = task.made(0)[TEST]
    targets = torch.tensor(np.asarray(examples.targets))
    shape = (*examples.targets.shape[:2], task.output_size)
    outputs = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    weights = np.asarray(task.weights(examples))
    metrics = task.metrics(jnp.asarray(outputs), examples)
    average = {name: np.average(each, weights=weights) for name, each in metrics.items()}
    found = cogscale_torch._loss(torch, torch.tensor(outputs), targets)
    assert float(found) == pytest.approx(average["loss"], rel=1e-5)
    expected = 1 - average["accuracy"] if "accuracy" in average else average["loss"]
    assert cogscale_torch._error(task, outputs, examples) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("task", "cell"), [("adding_problem", "GRU"), ("continuous_postcasting", "LSTM")]
)
def test_it_learns(torch, monkeypatch, task, cell):
    torch.set_num_threads(1)
    errors = []
    for epochs in (1, 30):
        monkeypatch.setattr(protocol, "EPOCHS", epochs)
        errors.append(cogscale_torch.error(row_of(task, cell), seed=1))
    assert errors[1] < 0.7 * errors[0]
    assert cogscale_torch.error(row_of(task, cell), seed=1) == errors[1]


def test_what_is_trained_once_more_are_the_scores_that_differ():
    rows = cogscale_torch.others()
    for size in cogscale.sizes():
        for cell in cogscale.CELLS:
            left = {row["task"] for row in rows if (sweep.size(row), row["model"]) == (size, cell)}
            assert {*cogscale.agreeing(size, cell)} == {*cogscale.tasks(size)} - left


def test_what_the_page_says_of_scores_that_differ():
    rows, found = cogscale_torch.others(), cogscale_torch.load()["found"]
    small = [row for row in rows if sweep.size(row)[0] == "small"]
    run = sum(len(cogscale.tasks(size)) for size in cogscale.sizes() if size[0] == "small")
    assert (len(small), run * len(cogscale.CELLS)) == (4, 56)
    assert [sweep.trial(row) for row in small] == [*found]
    for row in small:
        theirs, ours = cogscale.pair(row["task"], sweep.size(row), row["model"])
        again = cogscale.Score.of(found[sweep.trial(row)])
        assert ours.agrees(again)
        assert abs(ours.mean - again.mean) < abs(ours.mean - theirs.mean)
    medium = [row for row in rows if row not in small]
    assert (len(medium), len(cogscale.tasks(("medium", 10_000)))) == (5, 14)
    for row in medium:
        theirs, ours = cogscale.pair(row["task"], sweep.size(row), row["model"])
        assert ours.mean > theirs.mean


def test_what_the_page_says_of_what_is_not_learned():
    for size in (("small", 1000), ("small", 10_000)):
        for task in ("simple_copy", "selective_copy", "sorting_problem"):
            for cell in cogscale.CELLS:
                theirs, ours = cogscale.pair(task, size, cell)
                assert min(theirs.mean, ours.mean) > 0.45
    answers = {
        "selective_copy": 8,
        "simple_copy": 8,
        "induction_heads": 8,
        "associative_recall": 16,
    }
    for task, number in answers.items():
        _, ours = cogscale.pair(task, ("medium", 10_000), "LSTM")
        assert ours.mean == pytest.approx(1 - 1 / number, abs=0.01)


def test_it_is_not_measured_by_code_that_is_not_committed(monkeypatch):
    monkeypatch.setattr(cogscale_torch, "environment", lambda: {"modified": True, "commit": "c"})
    with pytest.raises(RunError, match="commit your changes first"):
        cogscale_torch.measure(2)
