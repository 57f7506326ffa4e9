"""What docs/published.md says of the committed results, and how its numbers are made."""

import numpy as np
import pytest

from scripts import published


def accuracy(trial):
    (row,) = (row for row in published.ROWS if row.trial == trial)
    return published.interval(published.chosen(row)["summary"]["test"]["accuracy"]["per_seed"])


def test_the_interval_holds_the_mean_nineteen_times_in_twenty():
    generator = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        mean, low, high = published.interval(list(generator.normal(3, 2, size=8)))
        assert low < mean < high
        held += low < 3 < high
    assert held / 2000 == pytest.approx(0.95, abs=0.015)


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
