"""Scores of many seeds on several problems, as few numbers with intervals (Agarwal et al. 2021).

Every function takes for each problem the scores of its seeds, of which there are two or more; each
problem weighs the same, however many seeds it has. Intervals hold 95 % of the bootstrap,
stratified: seeds are drawn anew within each problem.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
Scores = Sequence[Sequence[float]]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, or an array of them, with the ends of its interval."""

    value: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def __format__(self, spec: str) -> str:
        """Such as "0.81 (0.74..0.86)", each in the format that is given."""
        return f"{self.value:{spec}} ({self.low:{spec}}..{self.high:{spec}})"


def interquartile_mean(scores: Scores) -> Estimate:
    """The mean of the middle half of all scores.

    >>> f"{interquartile_mean([[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 9.0]]):.1f}"
    '1.0 (0.8..3.0)'
    """

    def statistic(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        found: NDArray[np.float64] = scipy.stats.trim_mean(_pooled(samples, axis), 0.25, axis=axis)
        return found

    return _bootstrapped(scores, statistic)


def profile(scores: Scores, thresholds: ArrayLike) -> Estimate:
    """The performance profile: at each threshold the share of scores above it."""
    above = np.asarray(thresholds, float)

    def statistic(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        pooled = np.moveaxis(_pooled(samples, axis), axis, -1)
        return np.stack([(pooled > threshold).mean(-1) for threshold in above])

    return _bootstrapped(scores, statistic)


def improvement(scores: Scores, others: Scores) -> Estimate:
    """The probability of improvement: that a seed scores more than one of the others on the same
    problem, as a mean over the problems. A tie counts half.

    >>> f"{improvement([[1.0, 2.0]], [[1.0, 0.0]]):.3f}"
    '0.875 (0.500..1.000)'

    Raises:
      ValueError: the numbers of problems differ.
    """
    if len(scores) != len(others):
        raise ValueError(f"{len(scores)} problems against {len(others)}")

    def statistic(*samples: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
        ours, theirs = samples[: len(scores)], samples[len(scores) :]
        shares = []
        for mine, other in zip(ours, theirs, strict=True):
            mine, other = np.moveaxis(mine, axis, -1), np.moveaxis(other, axis, -1)
            wins = np.sign(mine[..., :, None] - other[..., None, :])
            shares.append((1 + wins.mean((-2, -1))) / 2)
        return np.mean(shares, axis=0)

    return _bootstrapped([*scores, *others], statistic)


def _pooled(samples: Sequence[NDArray[np.float64]], axis: int) -> NDArray[np.float64]:
    """All scores along the axis, those of a problem with few seeds as often as makes them many."""
    size = math.lcm(*(sample.shape[axis] for sample in samples))
    return np.concatenate(
        [np.repeat(sample, size // sample.shape[axis], axis) for sample in samples], axis
    )


def _bootstrapped(scores: Scores, statistic: Callable[..., NDArray[np.float64]]) -> Estimate:
    samples = [np.asarray(each, float) for each in scores]
    found = scipy.stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),  # the same scores have the same interval
    )
    low, high = found.confidence_interval
    return Estimate(statistic(*samples, axis=-1), low, high)
