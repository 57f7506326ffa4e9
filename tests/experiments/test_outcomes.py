"""Statistics of a population, against numbers worked out by hand."""

import math
import statistics

import numpy as np
import pytest

from experiments.stats.outcomes import kaplan_meier_median, outcomes, quartiles

pytestmark = pytest.mark.quick


def test_a_population_summed_up():
    found = outcomes([0.1, 0.2, 0.3, 0.4], [100, None, 300, 200], budget=1000)
    assert (found.solved, found.seeds, found.median_steps) == (3, 4, 250)
    np.testing.assert_allclose(found.loss, (0.175, 0.25, 0.325))
    z, p, n = 1.959964, 0.75, 4
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    np.testing.assert_allclose(found.success, (center - half, center + half), rtol=1e-5)


@pytest.mark.parametrize(
    ("solved", "unsolved", "median"),
    [
        ([10, 20, 30, 40], 0, 25),
        ([10, 20, 30, 50], 1, 30),
        ([10, 20, 20, 20], 0, 20),
        ([10, 20, 40], 1, 30),
        ([10, 20, 20, 40, 50], 1, 30),
        ([10, 20, 30], 0, 20),
        ([10, 20], 2, 20),
        ([10], 3, None),
        ([], 4, None),
        ([10], 0, 10),
    ],
)
def test_median_steps_count_the_unsolved(solved, unsolved, median):
    assert kaplan_meier_median(solved, unsolved, budget=100) == median


def test_a_seed_without_a_finite_loss_does_not_hide_the_others():
    found = outcomes([0.1, None, 0.3], [5, None, None], budget=10)
    assert found.loss == (pytest.approx(0.2), 0.3, math.inf)
    assert (found.steps, outcomes([0.1], [1500], budget=2000).steps) == ("not reached", "1,500")


def test_one_update_is_not_called_several():
    assert outcomes([0.1], [1], budget=9).end(1.0) == "1 update"
    assert outcomes([0.1], [2], budget=9).end(1.0) == "2 updates"


def test_the_median_is_the_usual_one_where_all_values_are_finite():
    rng = np.random.default_rng(0)
    for size in range(1, 12):
        values = rng.normal(size=size)
        np.testing.assert_allclose(quartiles(values), np.percentile(values, [25, 50, 75]))
        steps = [int(step) for step in rng.integers(1, 9, size)]
        assert kaplan_meier_median(steps, 0, budget=10) == statistics.median(steps)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, math.inf], (1.75, 2.5, math.inf)),
        ([1, 2, math.inf, math.inf], (1.75, math.inf, math.inf)),
        ([-math.inf, 2, 3, 4], (-math.inf, 2.5, 3.25)),
        ([math.inf] * 4, (math.inf,) * 3),
        ([1, 2, 3, 4, math.inf], (2, 3, 4)),
    ],
)
def test_quartiles_of_values_that_are_not_all_finite(values, expected):
    assert quartiles(values) == expected
