"""Whether the horizon at initialisation predicts what is learned: the page, and its statistics."""

import math

import numpy as np
import pytest

from scripts.paper import horizons

ADDING = [("adding", length) for length in (100, 200, 400)]
KEEPING = ("copy-first", 100)


@pytest.fixture(scope="module")
def found():
    """By problem and variant."""
    points = horizons.points()
    assert len(points) == 48
    return {(point.problem, point.variant): point for point in points}


def test_what_the_page_says_across_cells(found):
    points = [*found.values()]
    for problem in (*ADDING, KEEPING):
        here = [point for point in points if point.problem == problem]
        low, high = horizons.interval(horizons.correlation, here)
        assert low < 0 < horizons.correlation(here) < 0.4 < high
    low, high = horizons.interval(horizons.within, points)
    assert low < 0 < horizons.within(points) < 0.2 < high


def test_what_the_page_says_of_adding(found):
    longest = {name: point for (problem, name), point in found.items() if problem == ADDING[-1]}
    assert longest["gru"].horizon == 13
    assert longest["gru_chrono"].horizon == 400
    assert abs(longest["gru"].learned - longest["gru_bias1"].learned) < 0.01
    assert 0.9 < longest["gru"].learned / longest["gru_chrono"].learned < 0.95
    assert abs(longest["lem"].horizon - longest["gru"].horizon) <= 1
    assert longest["lem"].learned > 0.7
    for problem in ADDING:
        for name in ("exprnn", "vanilla_identity"):
            assert found[problem, name].horizon == problem[1]
            little = 0.1 if (problem, name) == (ADDING[0], "vanilla_identity") else 0
            assert found[problem, name].learned <= little


def test_what_the_page_says_of_the_starts_of_a_cell(found):
    gains = [
        found[problem, "lstm_chrono"].learned - found[problem, "lstm"].learned for problem in ADDING
    ]
    assert 0.1 < gains[0] < gains[1] < gains[2]
    starts = [found[KEEPING, f"gru{end}"] for end in ("", "_bias1", "_refined", "_chrono")]
    assert [point.horizon for point in starts] == [10, 20, 27, 100]
    learned = [point.learned for point in starts]
    assert learned == sorted(learned)
    assert learned[0] == 0 < learned[1]
    assert learned[-1] > 0.9
    for problem in ADDING:
        usual, bias = found[problem, "gru"], found[problem, "gru_bias1"]
        assert 2 < bias.horizon / usual.horizon < 2.5
        assert bias.learned < usual.learned
    refined, chrono = (found[ADDING[-1], f"gru_{start}"] for start in ("refined", "chrono"))
    assert refined.horizon == 42
    assert refined.learned > chrono.learned


def test_a_rank_correlation_within_problems_and_its_interval():
    """Four cells of which the order is the same on each problem; problems differ in level."""
    points = [
        horizons.Point(f"s{start}", ("adding", length), start, start / 8 + length / 100)
        for start in range(1, 5)
        for length in (10, 40)
    ]
    assert horizons.within(points) == pytest.approx(1)
    assert horizons.correlation(points) < 0.9
    low, high = horizons.interval(horizons.within, points)
    assert low == high == pytest.approx(1)
    assert math.isnan(horizons.within([point for point in points if point.variant == "s1"]))


def test_every_cell_and_start_has_a_mark_of_its_own():
    marks = [(each["color"], each["marker"]) for each in horizons._marks().values()]
    assert len({*marks}) == len(marks) == 12


def test_what_was_spared_is_the_share_of_the_budget_that_was_left(found):
    chosen = horizons.results.best(horizons.results.load("reach"))[("adding", 400), "lstm"]
    steps = [3000 if step is None else step for step in chosen.solved_steps]
    assert found[("adding", 400), "lstm"].learned == pytest.approx(1 - np.mean(steps) / 3000)
