"""Statistics of a population, against numbers worked out by hand."""

import numpy as np
import pytest

from experiments.stats.outcomes import kaplan_meier_median, outcomes

pytestmark = pytest.mark.quick


def test_a_population_summed_up():
    found = outcomes([0.1, 0.2, 0.3, 0.4], [100, None, 300, 200], budget=1000)
    assert (found.solved, found.seeds, found.median_steps) == (3, 4, 200)
    np.testing.assert_allclose(found.loss, (0.1, 0.2, 0.3))
    z, p, n = 1.959964, 0.75, 4
    center = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    np.testing.assert_allclose(found.success, (center - half, center + half), rtol=1e-5)


@pytest.mark.parametrize(
    ("solved", "unsolved", "median"),
    [
        ([10, 20, 30, 40], 0, 20),
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
    assert found.loss == (0.1, 0.3, float("inf"))
