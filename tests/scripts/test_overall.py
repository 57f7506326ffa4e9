"""Variants over all problems, from results that are made up."""

import pytest

from scripts.paper import aggregates, merging, results


def row(name, solved_steps, losses=None, diverged=()):
    _, length, variant, rate = name.split("-")
    losses = losses or [0.1] * len(solved_steps)
    return {
        "trial": name,
        "cell": variant.partition("_chrono")[0],
        "length": int(length[1:]),
        "optimizer.learning_rate": float(rate[2:]),
        "budget": 1000,
        "baseline_loss": 0.2,
        "summary": {
            "eval": {"loss": {"per_seed": losses}},
            "solved_step": solved_steps,
            "diverged_step": [7 if seed in diverged else None for seed in range(len(losses))],
        },
    }


ROWS = [
    row("adding-T100-gru-lr0.01", [100, 300, 500, 700]),
    row("adding-T200-gru-lr0.01", [500, None, None, None]),
    row("adding-T200-gru-lr0.003", [500, 900, None, None]),
    row("adding-T100-gru_chrono-lr0.01", [100, 100, 100, 100]),
    row("adding-T200-gru_chrono-lr0.01", [100, 100, 100, None]),
    row("adding-T100-lstm-lr0.01", [None] * 4, [0.05, 0.1, 0.1, None]),
]


@pytest.fixture(autouse=True)
def made_up(monkeypatch):
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in ROWS])


def test_updates_are_spared_by_seeds_that_solve_and_by_no_others():
    assert aggregates.spared("reach", "gru") == [
        pytest.approx([0.9, 0.7, 0.5, 0.3]),
        [0.5, pytest.approx(0.1), 0, 0],
    ]
    assert aggregates.spared("reach", "lstm") == [[0] * 4, [0, 0]]


def test_aggregates_are_of_all_problems():
    lines = aggregates.table("reach").splitlines()
    told = {line.split(" | ")[0]: line for line in lines[2:]}
    assert told["| GRU"].startswith("| GRU | 0.35 (")
    assert told["| GRU"].endswith("| 2 of 2 | |")
    assert "| 2 of 2 | 0.84 (" in told["| GRU, chrono"]
    # Over 200 steps, where it was not run, it ties with the two of four GRUs that have failed.
    assert told["| LSTM"].startswith("| LSTM | 0.00 (0.00..0.00) | 0 of 2 | 0.12 (")


def test_a_length_that_few_variants_are_tried_at_says_nothing_of_the_others(monkeypatch):
    far = row("adding-T5000-gru_chrono-lr0.01", [100] * 4)
    assert ("adding", "T5000") in merging.variants("reach")
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in [*ROWS, far]])
    assert aggregates.problems("reach") == [("adding", 100), ("adding", 200)]


def test_what_was_not_run_is_no_worse_than_what_was_run_and_failed(monkeypatch):
    farther = [
        row("adding-T400-gru_chrono-lr0.01", [None] * 4, [0.1, 0.2, 0.3, 0.4]),
        row("adding-T400-lstm-lr0.01", [200, None, None, None]),
    ]
    rows = [*ROWS, *farther]
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in rows])
    assert ("adding", 400) in aggregates.problems("reach")
    of = lambda *names: aggregates._places("reach", *names)
    ours, theirs = of("gru_chrono", "gru")
    assert {*ours[-1]} == {*theirs[-1]}, "neither has solved it"
    ours, theirs = of("lstm", "gru")
    assert sorted(place > theirs[-1][0] for place in ours[-1]) == [False, False, False, True]
    ours, theirs = of("lstm", "gru_chrono")
    assert len({*ours[-1], *theirs[-1]}) > 2, "both were run: the losses of the unsolved count"
