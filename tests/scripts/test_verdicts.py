"""What docs/text.md says of verdicts in real words."""

import numpy as np

from scripts.paper import results, verdicts
from scripts.paper.sentiment import per_seed


def after(place, count):
    return {name: verdicts.right(name, place, count) for name in results.variants("verdicts")}


def chance(seeds):
    return [abs(right - 0.5) < 0.04 for right in seeds]


def test_a_verdict_before_two_sentences_is_kept_where_gates_start_near_1():
    start = after("start", 2)
    assert all(chance(start["gru"]) + chance(start["vanilla"]))
    assert sum(chance(start["lstm"])) == 1
    for name in ("gru_chrono", "lstm_chrono"):
        assert min(start[name]) > 0.7
        assert 0 < np.median(after("end", 2)[name]) - np.median(start[name]) < 0.04


def test_a_verdict_after_the_plot_is_two_to_four_points_below_none():
    none, end = after("end", 0), after("end", 2)
    lost = [np.median(none[name]) - np.median(end[name]) for name in none]
    assert 0.02 < min(lost) < max(lost) < 0.04


def test_without_a_plot_there_is_one_place():
    assert after("start", 0) == after("end", 0)
    (row,) = (
        each for each in results.load("verdicts") if each.row["trial"].startswith("end0-T64-lstm-")
    )
    assert verdicts.right("lstm", "start", 0) == per_seed(row, "test")
