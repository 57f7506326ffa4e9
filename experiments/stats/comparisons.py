"""Statistical tests between populations whose outcomes are bimodal and censored."""

import dataclasses
import itertools
import math

import numpy as np
import scipy


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A population against its reference.

    better: the estimated probability that a seed of the population does better than one of
      the reference; a tie counts half, so 0.5 means no difference.
    p: the p-value of the two-sided Mann-Whitney test.
    p_holm: p after Holm's correction over all comparisons that are made together.
    """

    better: float
    p: float
    p_holm: float


def ranked(losses: list[float | None], solved_steps: list[int | None]) -> list[tuple[float, float]]:
    """A key for each seed that sorts the better ones first.

    Seeds that solved the task come first, by the steps that they took. The others follow, by their
    final loss (worst-rank scores: Lachin 1999).
    """
    worst = lambda loss: math.inf if loss is None else loss
    return [
        (math.inf, worst(loss)) if step is None else (step, 0.0)
        for loss, step in zip(losses, solved_steps, strict=True)
    ]


def compared(
    pairs: list[tuple[list[tuple[float, float]], list[tuple[float, float]]]],
) -> list[Comparison]:
    """Each pair (population, reference) of `ranked` seeds, with Holm's correction over all."""
    raw = []
    for population, reference in pairs:
        test = scipy.stats.mannwhitneyu(*places(population, reference), alternative="two-sided")
        size = len(population) * len(reference)
        alike = len({*population, *reference}) == 1  # for which SciPy 1.18 has no p value
        raw.append((1 - float(test.statistic) / size, 1.0 if alike else float(test.pvalue)))
    corrected = holm([p for _, p in raw])
    return [Comparison(better, p, q) for (better, p), q in zip(raw, corrected, strict=True)]


def places(*populations: list[tuple[float, float]]) -> list[list[int]]:
    """The place of each of the `ranked` seeds among all of them, from 0; equal ones share it."""
    order = {key: place for place, key in enumerate(sorted(set(itertools.chain(*populations))))}
    return [[order[key] for key in keys] for keys in populations]


def holm(values: list[float]) -> list[float]:
    """Holm's step-down correction: max over i <= k of (m - i + 1) p_(i), at most 1.

    S. Holm, Scandinavian Journal of Statistics 6 (1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(values)
    scaled = np.array(values)[order] * np.arange(len(values), 0, -1)
    corrected = np.empty(len(values))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return [float(value) for value in corrected]
