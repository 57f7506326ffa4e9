"""CogScale with other starts: which rate is taken, and which scores keep up with the published."""

import pytest

from configs.sweeps import cogscale_starts as sweep
from experiments.datasets.sources import load_task
from scripts.paper import cogscale, cogscale_starts, results
from tests.sweeping import MADE

TASK = "selective_copy"


def made_up(start, rate, validated, tested):
    """A trial of two seeds with these mean errors on validation and test examples."""
    accuracies = lambda error: {"accuracy": {"per_seed": [1.01 - error, 0.99 - error]}}
    return {
        "trial": f"{TASK}-medium_10000-{start}-lr{rate}",
        "cell": start.partition("_")[0],
        "length": 101,
        "summary": {"eval": accuracies(validated), "test": accuracies(tested)},
        "seeds": 2,
        "budget": 5000,
        **MADE,
    }


@pytest.fixture
def trials(monkeypatch):
    """All trials of a task, each with an error of 0.9; a test may replace some."""
    found = {
        (start, rate): made_up(start, rate, 0.9, 0.9)
        for start in sweep.starts(1.0)
        for rate in sweep.RATES
    }
    loaded = lambda _: [results.Result(each) for each in found.values()]
    monkeypatch.setattr(results, "load", loaded)
    cogscale_starts.chosen.cache_clear()
    yield found
    cogscale_starts.chosen.cache_clear()


def test_the_rate_is_the_best_in_validation(trials):
    trials["gru_chrono", 0.003] = made_up("gru_chrono", 0.003, 0.2, 0.3)
    trials["gru_chrono", 0.001] = made_up("gru_chrono", 0.001, 0.25, 0.1)
    assert cogscale_starts.chosen()[TASK, "gru_chrono"].rate == 0.003
    assert cogscale_starts.least(TASK).mean == pytest.approx(0.3)
    assert cogscale_starts.tasks() == [TASK]


def test_the_start_is_the_best_in_validation(trials):
    trials["gru_chrono", 0.003] = made_up("gru_chrono", 0.003, 0.2, 0.3)
    trials["lstm_chrono", 0.003] = made_up("lstm_chrono", 0.003, 0.25, 0.1)
    assert cogscale_starts.least(TASK).mean == pytest.approx(0.3)


@pytest.mark.parametrize(("beyond", "keeps_up"), [(-0.1, 1), (0.99, 1), (1.01, 0)])
def test_one_keeps_up_within_the_deviation_of_the_best_published(trials, beyond, keeps_up):
    best, model = cogscale.best(TASK, sweep.SIZE)
    error = best.mean + beyond * best.deviation
    trials["lstm_chrono", 0.01] = made_up("lstm_chrono", 0.01, 0.1, error)
    table = cogscale_starts.table()
    (line,) = (each for each in table.splitlines() if each.startswith("| selective copy |"))
    assert line.count("**") == 2 * keeps_up
    assert line.endswith(f"| {best}, {model} |")
    assert f"keeps up: {keeps_up} of the 1 above" in table
    assert line.split(" | ")[1] == str(cogscale.score(TASK, sweep.SIZE, "GRU"))


def test_a_chrono_start_is_told_the_length_of_the_task():
    assert [*sweep.LENGTHS] == [*sweep.PROBLEMS]
    for problem, length in sweep.LENGTHS.items():
        assert load_task("cogscale", problem=problem, difficulty="medium").length == length


def test_all_else_is_as_published():
    made = []
    sweep.sweep(lambda name, changes, **kwargs: made.append((name, changes, kwargs)))
    assert len(made) == len(sweep.PROBLEMS) * 7 * len(sweep.RATES)
    for name, changes, kwargs in made:
        assert changes["model.start"] == "cell"
        assert kwargs == {"parameters": 10_000}
        assert ("chrono" in name) == ("model.chrono_max" in changes)


def means_of(task, cell):
    """By start the mean error."""
    return {
        name: cogscale.ours(cogscale_starts.chosen()[task, name]).mean
        for name in sweep.starts(1.0)
        if name.startswith(cell)
    }


def test_in_selective_copy_the_start_decides():
    means = means_of("selective_copy", "")
    assert cogscale.score("selective_copy", sweep.SIZE, "LSTM").mean > 0.86 > 0.6 > means["lstm"]
    assert min(means, key=means.__getitem__) == "lstm_chrono"
    theirs = cogscale.scores("selective_copy", sweep.SIZE)
    ahead = [model for model, score in theirs.items() if score.mean < means["lstm_chrono"]]
    assert ahead == ["TRANSFORMER_DECODER"]
    assert len(theirs) == 7
    grus = [means[f"gru{start}"] for start in ("_chrono", "_bias1", "_refined", "")]
    assert grus == sorted(grus)
    assert [*sorted(means, key=means.__getitem__)][1] == "gru_chrono"
    assert means["lstm_refined"] > 1.1 * means["lstm"]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_chrono_is_the_best_start_in_associative_recall_and_the_worst_in_forecasts(cell):
    recall = means_of("associative_recall", cell)
    assert min(recall, key=recall.__getitem__) == f"{cell}_chrono"
    for task in ("sinus_forecasting", "chaotic_forecasting"):
        forecast = means_of(task, cell)
        chrono = forecast.pop(f"{cell}_chrono")
        assert chrono > (1.2 if task == "sinus_forecasting" else 30) * max(forecast.values())
    ended = cogscale_starts.chosen()["chaotic_forecasting", f"{cell}_chrono"].row["summary"]["step"]
    assert ended < 60 < 200  # of so many


def test_only_where_the_best_published_is_a_gru_every_start_keeps_up_and_elsewhere_none():
    for task in cogscale_starts.tasks():
        means = means_of(task, "")
        best, model = cogscale.best(task, sweep.SIZE)
        kept = [mean <= best.mean + best.deviation for mean in means.values()]
        assert kept == [task == "cross_situation"] * 7
        assert (model == "GRU") == (task == "cross_situation")
    assert cogscale.best("associative_recall", sweep.SIZE)[1] == "echo state"


def test_the_figure_has_every_task_with_our_scores_and_the_best_published():
    shown = {}
    for axis in cogscale_starts.drawn().axes:
        lines = {line.get_label(): line.get_xdata() for line in axis.lines}
        for row, label in enumerate(axis.get_yticklabels()):
            best = min(line.get_xdata()[0] for line in axis.lines if [*line.get_ydata()] == [row])
            shown[label.get_text().replace(" ", "_")] = (lines["GRU, chrono"][row], best)
    assert {*shown} == {*cogscale_starts.tasks()}
    for task, (chrono, best) in shown.items():
        ours = cogscale.ours(cogscale_starts.chosen()[task, "gru_chrono"]).mean
        theirs, _ = cogscale.best(task, sweep.SIZE)
        assert chrono == pytest.approx(max(ours, cogscale_starts.LEAST))
        assert best == pytest.approx(max(theirs.mean, cogscale_starts.LEAST))
