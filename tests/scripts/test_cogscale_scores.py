"""CogScale's published scores beside ours: which agree, and which sizes are shown."""

import pytest

from configs.sweeps import cogscale as sweep
from scripts.paper import cogscale, results
from scripts.paper.cogscale import Score
from tests.sweeping import MADE

SMALL = ("small", 1000)


def made_up(row, error=None, seeds=10):
    """A trial whose seeds have this error on test examples, by default the published one."""
    values = row["task"] in ("sinus_forecasting", "chaotic_forecasting") or row["task"].startswith(
        "continuous"
    )
    error = float(row["mean_score"]) if error is None else error
    errors = [error - 0.01, error + 0.01] * (seeds // 2)
    found = {"loss": errors} if values else {"loss": [9.0] * seeds, "accuracy": errors_of(errors)}
    metrics = {name: {"per_seed": each} for name, each in found.items()}
    wrong = {name: {"per_seed": [0.5] * seeds} for name in found}
    return {
        "trial": sweep.trial(row),
        "length": 9,
        "summary": {"test": metrics, "eval": wrong},
        "seeds": seeds,
        "budget": 500,
        **MADE,
    }


def errors_of(errors):
    return [1 - each for each in errors]


@pytest.fixture
def trials(monkeypatch):
    """All trials of the smallest size; a test may add others, or take some away."""
    rows = {sweep.trial(row): made_up(row) for row in sweep.published() if sweep.size(row) == SMALL}
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in rows.values()])
    return rows


@pytest.mark.usefixtures("trials")
def test_what_is_as_published_agrees():
    assert cogscale.sizes() == [SMALL]
    for cell in cogscale.CELLS:
        assert cogscale.agreeing(SMALL, cell) == list(sweep.PROBLEMS)
    assert "Within the published deviation, of 14: 14 for GRU and 14 for LSTM." in cogscale.table()


def test_what_is_farther_than_the_published_deviation_does_not(trials):
    (row,) = (
        row
        for row in sweep.published()
        if (row["task"], sweep.size(row), row["model"]) == ("selective_copy", SMALL, "LSTM")
    )
    deviation = float(row["sd"])
    for error, agrees in ((0.98, True), (1.02, False), (-0.98, True), (-1.02, False)):
        mean = float(row["mean_score"]) + error * deviation
        trials[sweep.trial(row)] = made_up(row, mean)
        assert ("selective_copy" in cogscale.agreeing(SMALL, "LSTM")) == agrees
        line = next(each for each in cogscale.table().splitlines() if "selective copy" in each)
        assert ("**" in line) != agrees
        assert line.endswith("| 0.48 ± 0.04, echo state |")


def test_a_task_is_shown_once_all_of_its_trials_have_been_run(trials):
    assert "Not trained" not in cogscale.table()
    trials.pop("simple_copy-small_1000-lstm_torch-lr0.0001")
    assert cogscale.sizes() == [SMALL]
    assert cogscale.tasks(SMALL) == [task for task in sweep.PROBLEMS if task != "simple_copy"]
    table = cogscale.table()
    assert "| simple copy |" not in table
    assert "of 13: 13 for GRU and 13 for LSTM.\n\nNot trained in this size: simple copy." in table


def test_the_best_is_the_least_error_of_all_architectures():
    scores = [row for row in sweep.scores() if sweep.size(row) == ("medium", 10_000)]
    for task in sweep.PROBLEMS:
        score, model = cogscale.best(task, ("medium", 10_000))
        means = {row["model"]: float(row["mean_score"]) for row in scores if row["task"] == task}
        assert score.mean == min(means.values())
        assert model == cogscale.MODELS[min(means, key=means.get)]


def test_how_a_score_is_written():
    shown = {0.8743: "0.87", 0.0954: "0.10", 0.0044: "0.004", 2.2e-6: "2e-06", 0.0: "0"}
    for value, told in shown.items():
        assert str(Score(value, 0.0)) == f"{told} ± 0"
