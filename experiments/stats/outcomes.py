"""Summary statistics of a population that suit bimodal and censored outcomes."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import scipy

HALF = 0.5 + 1e-9  # shares of survivors are products of fractions, and so rounded
WORSE = 10  # times the input-blind loss: such a seed has diverged


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """A summary of a population.

    solved, seeds: how many seeds reached the target, out of how many.
    success: the 95 % Wilson interval of that share.
    median_steps: see `kaplan_meier_median`; unsolved seeds are censored at the budget.
    loss: quartiles of the final evaluation loss (25 %, 50 %, 75 %); one that is not finite
      counts as infinite.
    """

    solved: int
    seeds: int
    success: tuple[float, float]
    median_steps: float | None
    loss: tuple[float, float, float]

    @property
    def steps(self) -> str:
        """`median_steps` as tables show them."""
        return "not reached" if self.median_steps is None else f"{self.median_steps:,.12g}"

    @property
    def merit(self) -> tuple[float, ...]:
        """A key, larger for better outcomes: more seeds solved, then sooner, then a lower loss.

        The loss comes last, because a seed that has solved the task stops training.
        """
        steps = math.inf if self.median_steps is None else self.median_steps
        return self.solved, -steps, -self.loss[1]

    def end(self, baseline: float) -> str:
        """The updates that half of the seeds took, or what they lost instead, in few words.

        Args:
          baseline: the input-blind loss.
        """
        if self.median_steps is not None:
            return f"{self.steps} update" + "s" * (self.median_steps != 1)
        blind = self.loss[1] / baseline
        return f"{blind:.2g} x input-blind" if blind < WORSE else f"over {WORSE} x input-blind"


def outcomes(losses: list[float | None], solved_steps: list[int | None], budget: int) -> Outcomes:
    """Summarises final losses (None: not finite) and steps to solve (None: not reached)."""
    solved = [step for step in solved_steps if step is not None]
    interval = scipy.stats.binomtest(len(solved), len(solved_steps)).proportion_ci(method="wilson")
    return Outcomes(
        solved=len(solved),
        seeds=len(solved_steps),
        success=(float(interval.low), float(interval.high)),
        median_steps=kaplan_meier_median(solved, len(solved_steps) - len(solved), budget),
        loss=quartiles([math.inf if loss is None else loss for loss in losses]),
    )


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """25, 50 and 75 %, as `np.percentile` has them: the median of an even number of values is the
    mean of the two in the middle. Between a finite value and an infinite one it is infinite.

    >>> quartiles([1.0, 2.0, 3.0, 4.0])
    (1.75, 2.5, 3.25)
    >>> quartiles([1.0, 2.0, math.inf, math.inf])
    (1.75, inf, inf)
    """
    ordered = np.sort(np.array(list(values), float))
    places = np.array([0.25, 0.5, 0.75]) * (len(ordered) - 1)
    low, high = ordered[np.floor(places).astype(int)], ordered[np.ceil(places).astype(int)]
    share = places % 1
    with np.errstate(invalid="ignore"):  # 0 * inf, which is not taken
        between = (1 - share) * low + share * high
    first, median, third = np.where((low == high) | (share == 0), low, between)
    return float(first), float(median), float(third)


def kaplan_meier_median(solved: list[int], unsolved: int, budget: int) -> float | None:
    """The step by which half of a population has solved the task, of which some may be censored.

    It is the first step after which the estimated share of unsolved seeds is below one half. If
    that share is one half after an earlier step, it is the mean of both, as in R's `survfit`: that
    makes it the usual median where every seed has solved the task. If the share stays one half, it
    is the earlier step. It is None if the share stays above one half.

    >>> kaplan_meier_median([10, 20, 30, 40], 0, budget=100)
    25.0
    >>> kaplan_meier_median([10, 20], 2, budget=100)
    20.0
    """
    if not solved:
        return None
    sample = scipy.stats.CensoredData(uncensored=solved, right=[budget] * unsolved)
    survival = scipy.stats.ecdf(sample).sf
    left = survival.probabilities
    events = survival.quantiles[(left <= HALF) & (np.diff(left, prepend=1) < 0)]
    if not events.size:
        return None
    half = left[left <= HALF][0] > 1 - HALF
    return float(events[:2].mean() if half else events[0])
