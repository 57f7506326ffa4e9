"""What docs/reach.md shows, from results that are made up, and what it says of the real ones."""

import pytest

from scripts.paper import reach, results
from tests.scripts.test_overall import row


@pytest.fixture
def made_up(monkeypatch):
    rows = [
        row("adding-T100-gru-lr0.01", [100, 300, 500, 700]),
        row("adding-T200-gru-lr0.01", [500, None, None, None]),
        row("adding-T200-gru-lr0.003", [500, 900, None, None]),
        row("adding-T100-gru_chrono-lr0.01", [100, 100, 100, 100]),
        row("adding-T200-gru_chrono-lr0.01", [100, 100, 100, None]),
        row("adding-T100-lstm-lr0.01", [None] * 4, [0.05, 0.1, 0.1, None]),
    ]
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in rows])


@pytest.mark.usefixtures("made_up")
def test_reach_is_the_longest_length_that_half_of_the_seeds_solve():
    found = [reach.reached(name, "adding") for name in ("gru", "gru_chrono", "lstm")]
    assert found == [200, 200, 0]


def test_a_length_at_which_less_than_half_solve_is_not_reached(monkeypatch):
    fewer = [row("adding-T100-gru-lr0.01", [9] * 4), row("adding-T200-gru-lr0.01", [9, None, None])]
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in fewer])
    assert reach.reached("gru", "adding") == 100


@pytest.mark.usefixtures("made_up")
def test_a_table_shows_the_better_rate_and_leaves_out_what_was_not_run():
    assert reach.table("adding").splitlines() == [
        "| cell | T = 100 | T = 200 | reach |",
        "|---|--:|--:|--:|",
        "| GRU | 4/4, 400 updates | 2/4, 900 updates | 200 |",
        "| GRU, chrono | 4/4, 100 updates | 3/4, 100 updates | 200 |",
        "| LSTM | 0/4, 0.5 x blind |  | none |",
    ]


def test_what_the_page_says_of_adding_over_100_steps():
    found = results.best(results.load("reach"))
    at = {variant: each.outcomes for (where, variant), each in found.items() if where[1] == 100}
    plain = {name for name in at if name.startswith(("vanilla", "exprnn"))}
    assert all(at[name].solved == at[name].seeds == 16 for name in at.keys() - plain)
    steps = {name: at[name].median_steps for name in at.keys() - plain}
    assert steps["lstm_chrono"] <= 0.5 * steps["lstm"]
    assert steps["gru_chrono"] <= 0.7 * steps["gru"]
    assert steps["gru_bias1"] == steps["gru"] == steps["lstm_chrono"]
    assert min(steps[name] for name in ("lem", "nbrc", "min_gru_two")) > steps["gru"]
    assert at["vanilla"].solved == at["exprnn"].solved == 0
    assert 0 < at["vanilla_identity"].solved < 8
    assert at["exprnn"].loss[1] < 0.1 / 6 < at["vanilla"].loss[1]
