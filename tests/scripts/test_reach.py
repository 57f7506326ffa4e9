"""What docs/reach.md shows, from results that are made up, and what it says of the real ones."""

import pytest

from scripts.paper import reach, results
from tests.scripts.test_overall import ROWS, row


@pytest.fixture
def made_up(monkeypatch):
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in ROWS])


@pytest.mark.usefixtures("made_up")
def test_reach_is_the_longest_length_that_half_of_the_seeds_solve():
    found = [reach.reached(name, "adding") for name in ("gru", "gru_chrono", "lstm")]
    assert found == [200, 200, 0]


def test_a_diverged_cell_is_not_told_by_its_loss(monkeypatch):
    row_ = row("adding-T100-gru-lr0.01", [None] * 4, [None, 1e9, 1e9, 1e9])
    monkeypatch.setattr(results, "load", lambda _: [results.Result(row_)])
    assert "| 0/4, over 10 x blind |" in reach.table("adding")


def test_a_length_at_which_less_than_half_solve_is_not_reached(monkeypatch):
    fewer = [row("adding-T100-gru-lr0.01", [9] * 4), row("adding-T200-gru-lr0.01", [9, None, None])]
    monkeypatch.setattr(results, "load", lambda _: [results.Result(each) for each in fewer])
    assert reach.reached("gru", "adding") == 100


@pytest.mark.usefixtures("made_up")
def test_variants_are_ordered_by_reach_and_then_by_updates():
    assert reach.ordered("adding") == ["gru_chrono", "gru", "lstm"]
    assert [line.split(" |")[0] for line in reach.headline().splitlines()[2:]] == [
        "| GRU, chrono",
        "| GRU",
        "| LSTM",
    ]


@pytest.mark.usefixtures("made_up")
def test_a_table_shows_the_better_rate_and_leaves_out_what_was_not_run():
    assert reach.table("adding").splitlines() == [
        "| cell | T = 100 | T = 200 | reach |",
        "|---|--:|--:|--:|",
        "| GRU | 4/4, 400 updates | 2/4, 900 updates | 200 |",
        "| GRU, chrono | 4/4, 100 updates | 3/4, 100 updates | 200 |",
        "| LSTM | 0/4, 0.5 x blind |  | none |",
    ]


def at(task, length):
    """What is shown of each variant."""
    found = results.best(results.load("reach"))
    return {name: each.outcomes for (where, name), each in found.items() if where == (task, length)}


PLAIN = ("vanilla", "vanilla_identity", "exprnn")


def test_what_the_page_says_of_adding_over_100_and_200_steps():
    short, long = at("adding", 100), at("adding", 200)
    gated = short.keys() - {*PLAIN}
    assert all(short[name].solved == short[name].seeds == 16 for name in gated)
    assert {name: 16 - long[name].solved for name in gated if long[name].solved < 16} == {
        "min_gru_two": 2
    }
    for found in (short, long):
        steps = {name: found[name].median_steps for name in gated}
        assert steps["lstm_chrono"] <= 0.5 * steps["lstm"]
        assert steps["gru_chrono"] <= 0.7 * steps["gru"]
        assert abs(steps["gru_bias1"] - steps["gru"]) <= 25
        assert min(steps[name] for name in ("lem", "nbrc", "min_gru_two")) > steps["gru"]
        assert min(steps, key=steps.get) == "gru_chrono"
    assert long["lstm_chrono"].median_steps < long["gru"].median_steps
    growth = {name: long[name].median_steps / short[name].median_steps for name in gated}
    assert growth.pop("lem") > 2.7
    assert max(growth.values()) <= 1.5
    assert short["vanilla"].solved == short["exprnn"].solved == 0
    assert short["exprnn"].loss[1] < 0.1 / 6 < short["vanilla"].loss[1]
    assert 0 < short["vanilla_identity"].solved < 8
    assert long["vanilla_identity"].solved == 0
    assert {"vanilla", "exprnn"}.isdisjoint(long)


def test_what_the_page_says_of_copy_first_over_5_steps():
    found = at("copy-first", 5)
    assert len(found) == 12
    assert all(each.solved == each.seeds == 16 for each in found.values())
