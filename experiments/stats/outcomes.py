"""Summary statistics of a population that suit bimodal and censored outcomes."""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from scipy import stats


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """A summary of a population.

    solved, seeds: how many seeds reached the target, out of how many.
    success: the 95 % Wilson interval of that share.
    median_steps: Kaplan-Meier median of the steps to solve; unsolved seeds are censored at
      the budget; None if more than half of the population would still be unsolved.
    loss: quartiles of the final evaluation loss (25 %, 50 %, 75 %).
    """

    solved: int
    seeds: int
    success: tuple[float, float]
    median_steps: int | None
    loss: tuple[float, float, float]


def outcomes(losses: list[float | None], solved_steps: list[int | None], budget: int) -> Outcomes:
    """Summarises final losses (None: not finite) and steps to solve (None: not reached)."""
    solved = [step for step in solved_steps if step is not None]
    interval = stats.binomtest(len(solved), len(solved_steps)).proportion_ci(method="wilson")
    return Outcomes(
        solved=len(solved),
        seeds=len(solved_steps),
        success=(float(interval.low), float(interval.high)),
        median_steps=kaplan_meier_median(solved, len(solved_steps) - len(solved), budget),
        loss=quartiles([math.inf if loss is None else loss for loss in losses]),
    )


def quartiles(values: Iterable[float]) -> tuple[float, float, float]:
    """25, 50 and 75 %, without interpolation: between infinities that would give NaN."""
    low, median, high = np.percentile(list(values), [25, 50, 75], method="inverted_cdf")
    return float(low), float(median), float(high)


def kaplan_meier_median(solved: list[int], unsolved: int, budget: int) -> int | None:
    """The first step by which the estimated share of unsolved seeds is at most one half."""
    if not solved:
        return None
    sample = stats.CensoredData(uncensored=solved, right=[budget] * unsolved)
    survival = stats.ecdf(sample).sf
    reached = survival.quantiles[survival.probabilities <= 0.5]
    return int(reached[0]) if reached.size else None
