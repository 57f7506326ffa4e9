"""Tests between populations, against hand counts and other implementations."""

import itertools

import numpy as np
import pytest
from scipy import stats

from experiments.stats.comparisons import compared, holm, ranked

pytestmark = pytest.mark.quick


def test_seeds_that_solved_the_task_come_first_by_their_steps():
    keys = ranked([0.3, 0.001, None, 0.002, 0.1], [None, 400, None, 250, None])
    assert sorted(range(5), key=keys.__getitem__) == [3, 1, 4, 0, 2]
    assert ranked([0.5], [100]) == ranked([0.1], [100]), "a solved seed's loss does not count"


def test_ahead_is_the_share_of_pairs_that_are_won():
    ours = ranked([0.1, 0.2, 0.3], [100, None, 200])
    theirs = ranked([0.1, 0.2, None], [200, None, None])
    won = [1.0 if a < b else 0.5 if a == b else 0.0 for a, b in itertools.product(ours, theirs)]
    (found,) = compared([(ours, theirs)])
    assert found.better == pytest.approx(np.mean(won))
    (turned,) = compared([(theirs, ours)])
    assert turned.better == pytest.approx(1 - found.better)
    assert turned.p == pytest.approx(found.p)


def test_eight_against_eight_that_are_all_better():
    ours, theirs = ranked([0.0] * 8, list(range(8))), ranked([0.0] * 8, list(range(8, 16)))
    (found,) = compared([(ours, theirs)])
    assert found.better == 1
    assert found.p == pytest.approx(2 / 12870)  # 16 choose 8, both sides


def test_equal_populations():
    keys = ranked([0.1] * 8, [None] * 8)
    (found,) = compared([(keys, keys)])
    assert (found.better, found.p, found.p_holm) == (0.5, 1.0, 1.0)


def test_holm_over_all_comparisons():
    rng = np.random.default_rng(0)
    draw = lambda shift: ranked((rng.random(8) + shift).tolist(), [None] * 8)
    pairs = [(draw(shift), draw(0)) for shift in (0.0, 0.4, 0.8, 1.2)]
    found = compared(pairs)
    order = np.argsort([test.p for test in found])
    so_far = 0.0
    for rank, place in enumerate(order):
        so_far = max(so_far, min(1.0, found[place].p * (len(pairs) - rank)))
        assert found[place].p_holm == pytest.approx(so_far)
    flat = lambda keys: [loss for _, loss in keys]
    for test, (ours, theirs) in zip(found, pairs, strict=True):
        expected = stats.mannwhitneyu(flat(ours), flat(theirs)).pvalue
        assert test.p == pytest.approx(expected)


def test_holm_is_below_bonferroni_and_above_nothing():
    values = [0.001, 0.2, 0.02, 0.02, 0.9]
    corrected = holm(values)
    assert all(p <= q <= min(1, 5 * p) for p, q in zip(values, corrected, strict=True))
    assert holm([]) == []
