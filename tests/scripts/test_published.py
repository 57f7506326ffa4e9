"""What docs/published.md says of the committed results, and how its numbers are made."""

import numpy as np
import pytest

from scripts.paper import published


def row_of(trial):
    (row,) = (row for row in published.rows() if row.trial == trial)
    return row


def judged(row, metric="accuracy"):
    return published.interval(published.judged(published.chosen(row), metric))


def accuracy(trial, metric="accuracy"):
    return judged(row_of(trial), metric)


def test_the_interval_holds_the_mean_nineteen_times_in_twenty():
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        mean, low, high = published.interval(list(generator.normal(3, 2, size=8)))
        assert low < mean < high
        held += low < 3 < high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


@pytest.mark.quick
@pytest.mark.parametrize(("metric", "best"), [("accuracy", "a-lr2"), ("loss", "a-lr1")])
def test_the_rate_is_chosen_by_validation(monkeypatch, metric, best):
    """Where the test split would have chosen the other one."""

    def trial(name, validated, tested):
        summary = {"eval": {metric: {"mean": validated}}, "test": {metric: {"mean": tested}}}
        return published.results.Result({"trial": name, "summary": summary})

    trials = [trial("a-lr1", 0.7, 0.9), trial("a-lr2", 0.8, 0.6), trial("ab-lr1", 9, 9)]
    monkeypatch.setattr(published.results, "load", lambda _: trials)
    chosen = published.chosen(published.Published("task", "sweep", "a", metric=metric))
    assert chosen["trial"] == best


def test_mnist1d():
    low, high = accuracy("flatten-gru")[1:]
    assert low < 0.891 < high  # the notebook's one seed
    for cell in ("gru", "lstm"):
        assert accuracy(f"last-{cell}")[1] > 0.95  # the published convolutional network: 0.94
        assert accuracy(f"flatten-{cell}")[2] < 0.91
    assert accuracy("last-vanilla")[2] < 0.21


def of_cells(sweep, part, metric="loss"):
    """By cell, our interval."""
    return {
        row.trial.removeprefix(f"{part}-"): judged(row, metric)
        for row in published.rows()
        if row.sweep == sweep and row.trial.startswith(f"{part}-")
    }


def theirs_of(sweep, part="large"):
    """By cell, the published loss."""
    (problem,) = (p for p in published.load() if (p["sweep"], p["trials"]) == (sweep, part))
    return {row["variant"]: float(row["number"]) for row in problem["rows"]}


def test_chorales():
    theirs, noise = theirs_of("chorales", "noise"), of_cells("chorales", "noise")
    plain, large = of_cells("chorales", "plain"), of_cells("chorales", "large")
    assert all(noise[cell][0] < theirs[cell] for cell in theirs)
    assert theirs["gru"] < theirs["lstm"]
    assert noise["lstm"][2] < noise["gru"][1]
    for cell in theirs:
        assert 0.07 < plain[cell][0] - noise[cell][0] < 0.13
        assert noise[cell][2] < plain[cell][1]
    theirs = theirs_of("chorales")
    for cell, behind in (("lstm", 0.05), ("gru", 0.13)):
        assert theirs[cell] < large[cell][0] < theirs[cell] + behind
        assert large[cell][1] < noise[cell][2]  # no difference to be seen
        assert noise[cell][1] < large[cell][2]
    assert large["vanilla"][2] < theirs["vanilla"]
    turned = [
        trial.row["trial"]
        for trial in published.results.load("chorales")
        if min(trial.row["curve"]["median"]) < trial.row["curve"]["median"][-1]
    ]
    assert len(turned) == 24
    for part in ("noise", "plain"):
        for row in published.rows():
            if row.sweep == "chorales" and row.trial.startswith(part):
                assert published.chosen(row)["trial"] in turned


def test_nottingham():
    theirs = theirs_of("nottingham")
    small, large = of_cells("nottingham", "small"), of_cells("nottingham", "large")
    assert theirs["lstm"] < large["lstm"][0] < theirs["lstm"] + 0.1
    assert large["vanilla"][2] < theirs["vanilla"] - 0.5
    assert 0.2 < large["gru"][0] - theirs["gru"] < 0.26
    assert large["lstm"][2] < large["vanilla"][1] < large["vanilla"][2] < large["gru"][1]
    theirs = theirs_of("nottingham", "small")
    assert small["vanilla"][2] < min(small["lstm"][1], small["gru"][1])
    assert theirs["vanilla"] < min(theirs["lstm"], theirs["gru"])
    assert all(0.5 < small[cell][0] - theirs[cell] < 0.8 for cell in theirs)
    curves = {t.row["trial"]: t.row["curve"] for t in published.results.load("nottingham")}
    for name, curve in curves.items():
        if name.startswith("small"):
            assert min(curve["median"]) == curve["median"][-1]
    best = np.argmin(curves["large-lstm-lr0.001"]["median"])
    assert curves["large-lstm-lr0.001"]["step"][best] < 8000


def test_digits():
    share = of_cells("digits", "rows", "accuracy")
    assert min(share["gru"][1], share["lstm"][1]) > share["vanilla"][0] > 0.9
    losses = {t.row["trial"]: t.row["curve"]["median"] for t in published.results.load("digits")}
    assert losses["rows-vanilla-lr0.01"][-1] > 2 * min(losses["rows-vanilla-lr0.01"])


def test_temporal_order():
    found = {
        name: published.results.Result(published.chosen(row_of(f"temporal_order-T100-{name}")))
        for name in ("lstm_1997", "gru", "lstm", "vanilla", "gru_chrono", "lstm_chrono")
    }
    solved = {name: result.outcomes.solved for name, result in found.items()}
    assert max(solved[name] for name in ("gru", "lstm", "vanilla")) < solved["lstm_1997"] < 8
    for name in ("gru_chrono", "lstm_chrono"):
        assert solved[name] == 8
        assert found[name].outcomes.median_steps * 16 < 31_390


def test_adding_over_two_thousand_steps():
    begins = "adding-T2000-"
    rows = {r.trial.removeprefix(begins): r for r in published.rows() if r.trial.startswith(begins)}
    steps = {n: published.results.Result(published.chosen(r)).outcomes for n, r in rows.items()}
    assert [name for name, each in steps.items() if 2 * each.solved < each.seeds] == ["lstm"]
    ours = {name: steps[name].median_steps * 32 for name in ("lem", "gru", "gru_chrono")}
    assert 3 < 240_000 / ours["lem"] < 3.5
    assert rows["lem"].published.startswith("240,000 ")
    assert ours["gru"] < ours["lem"]
    assert 0.19 < ours["gru_chrono"] / ours["lem"] < 0.22


def test_adding_with_marks_anywhere():
    loss = lambda cell: accuracy(f"adding_anywhere-T200-{cell}", "loss")
    assert loss("gru")[2] < 1e-4
    row = row_of("adding_anywhere-T200-gru")
    ended = published.chosen(row)
    assert sum(step is not None for step in ended["summary"]["solved_step"]) == 3
    assert max(published.judged(ended, "loss")) < 1.5 * 5.3e-5
    assert 1e-3 < loss("lstm")[0] < loss("lstm")[2] < 0.05
    assert loss("vanilla")[1] > 0.16


def test_copy_over_its_length():
    share = {
        (length, start): accuracy(f"copy-T{length}-{start}")[0]
        for length in (10, 30, 100)
        for start in ("gru", "gru_chrono", "lstm", "lstm_chrono")
    }
    for length in (10, 30, 100):
        assert share[length, "gru"] > 0.2
        for cell in ("gru", "lstm"):
            assert share[length, f"{cell}_chrono"] > share[length, cell] + 0.15
    assert share[10, "lstm"] > 0.2 > share[30, "lstm"]
    assert share[100, "lstm"] < 1 / 8 + 0.01  # as by guessing


@pytest.mark.parametrize(
    ("solved", "words"),
    [([50, 100, 150, 200], "2,000 (median; 4/4)"), ([50, None, None, None], "1/4 within 8,000")],
)
def test_sequences_until_solved(solved, words):
    trial = {"train.batch_size": 16, "budget": 500}
    trial["summary"] = {"eval": {"loss": {"per_seed": [0.1] * 4}}, "solved_step": solved}
    row = published.Published("task", "sweep", "trial", metric="sequences")
    assert published._ours(row, trial) == words
