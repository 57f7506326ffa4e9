"""What docs/text.md says of verdicts in real words."""

import numpy as np

from scripts.paper import results, verdicts
from scripts.paper.sentiment import per_seed


def after(place, count):
    return {name: verdicts.right(name, place, count) for name in results.variants("verdicts")}


def chance(seeds):
    return [abs(right - 0.5) < 0.04 for right in seeds]


def test_a_verdict_before_the_plot_is_kept_where_gates_start_near_1():
    for count in (2, 5):
        start = after("start", count)
        assert all(chance(start["gru"]) + chance(start["vanilla"]))
        assert sum(chance(start["lstm"])) == {2: 1, 5: 4}[count]
        for name in ("gru_chrono", "lstm_chrono"):
            assert min(start[name]) > 0.69
            assert 0 < np.median(after("end", count)[name]) - np.median(start[name]) < 0.04


def test_a_verdict_after_the_plot_is_two_to_four_points_below_none():
    none = after("end", 0)
    for end in (after("end", 2), after("end", 5)):
        lost = [np.median(none[name]) - np.median(end[name]) for name in none]
        assert 0.02 < min(lost) < max(lost) < 0.045
        assert min(map(min, end.values())) > 0.7


def test_without_a_plot_there_is_one_place():
    assert after("start", 0) == after("end", 0)
    (row,) = (
        each for each in results.load("verdicts") if each.row["trial"].startswith("end0-T64-lstm-")
    )
    assert verdicts.right("lstm", "start", 0) == per_seed(row, "test")
