"""Aggregates over problems: against their definitions, written out, and against the theory."""

import numpy as np
import pytest

from experiments.stats.aggregates import improvement, interquartile_mean, profile

RNG = np.random.default_rng(0)
SCORES = [RNG.normal(place, 1, 16) for place in (0.0, 1.0, 3.0)]


@pytest.mark.quick
def test_an_interquartile_mean_is_that_of_the_middle_half():
    ordered = np.sort(np.concatenate(SCORES))
    np.testing.assert_allclose(interquartile_mean(SCORES).value, ordered[12:36].mean())


@pytest.mark.quick
def test_problems_weigh_the_same_whatever_their_seeds():
    few = [SCORES[0], SCORES[1][:8], SCORES[2][:4]]
    same = [SCORES[0], np.tile(SCORES[1][:8], 2), np.tile(SCORES[2][:4], 4)]
    for aggregate in (interquartile_mean, lambda scores: profile(scores, [0.5])):
        np.testing.assert_allclose(aggregate(few).value, aggregate(same).value)


def test_a_profile_is_the_share_above_each_threshold():
    found = profile(SCORES, [-9.0, 0.5, 9.0])
    pooled = np.concatenate(SCORES)
    np.testing.assert_allclose(found.value, [1, np.mean(pooled > 0.5), 0])
    assert found.low[1] < found.value[1] < found.high[1]
    np.testing.assert_array_equal(profile([[1.0, 1.0, 2.0]], [1.0]).value, [1 / 3])


@pytest.mark.quick
def test_an_improvement_is_a_mean_over_problems_and_pairs():
    others = [scores[:8] - 0.5 for scores in SCORES]
    won = lambda a, b: np.mean([(x > y) + (x == y) / 2 for x in a for y in b])
    expected = np.mean([won(a, b) for a, b in zip(SCORES, others, strict=True)])
    found = improvement(SCORES, others)
    np.testing.assert_allclose(found.value, expected)
    np.testing.assert_allclose(improvement(others, SCORES).value, 1 - expected)
    assert found.low < expected < found.high
    # Only one of them is of another problem, where everything is won.
    np.testing.assert_allclose(improvement([[0.0] * 2, [1.0] * 2], [[0.0] * 2] * 2).value, 0.75)


def test_seeds_are_drawn_within_their_problem():
    # Between problems scores differ, within them they do not: there is nothing that may vary.
    found = interquartile_mean([[0.0] * 8, [1.0] * 8])
    assert found.low == found.value == found.high == 0.5


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        found = interquartile_mean([rng.normal(0, 1, 16), rng.normal(0, 1, 16)])
        inside += found.low < 0 < found.high
    assert 0.88 < inside / 200 <= 0.98


def test_other_problems_are_no_reference():
    with pytest.raises(ValueError, match="2 problems against 1"):
        improvement([[0.0], [1.0]], [[0.0]])
