"""A sweep's variants over all of its problems, as few numbers: interquartile means, improvement."""

import math

import numpy as np

from experiments.stats.aggregates import Scores, improvement, interquartile_mean
from experiments.stats.comparisons import places, ranked
from scripts.paper import merging, results

# A trial that was not run, since its cell had failed at a shorter length, has this instead.
FAILED = [(math.inf, math.inf)] * 2


def problems(sweep: str) -> list[tuple[str, int]]:
    """The name and the length of each problem that the sweep tries with all of its variants."""
    tried = merging.variants(sweep)
    everything = set().union(*tried.values())
    of = lambda result: tried[merging.problem(result.row["trial"])]
    return sorted({each.problem for each in results.load(sweep) if of(each) == everything})


def spared(sweep: str, variant: str) -> Scores:
    """For each problem the share of the budget that each seed has not used: 0 where it has not
    solved the task, also where it was not run since it had failed at a shorter length.
    """
    chosen, scores = results.best(results.load(sweep)), []
    for problem in problems(sweep):
        if result := chosen.get((problem, variant)):
            budget = result.row["budget"]
            steps = [budget if step is None else step for step in result.solved_steps]
            scores.append([1 - step / budget for step in steps])
        else:
            scores.append([0.0] * len(FAILED))
    return scores


def _places(sweep: str, variant: str, reference: str) -> tuple[Scores, Scores]:
    """For each problem the places of both variants' seeds; higher is better."""
    chosen, both = results.best(results.load(sweep)), []
    for problem in problems(sweep):
        found = [chosen.get((problem, name)) for name in (variant, reference)]
        keys = [ranked(each.losses, each.solved_steps) if each else FAILED for each in found]
        if None in found:  # beside what was not run, whatever has not solved the task has failed
            keys = [[k if math.isfinite(k[0]) else FAILED[0] for k in seeds] for seeds in keys]
        both.append([[-float(place) for place in seeds] for seeds in places(*keys)])
    ours, theirs = zip(*both, strict=True)
    return ours, theirs


def table(sweep: str) -> str:
    """Each variant over all problems; those but the first against the first."""
    told = results.variants(sweep)
    reference = next(iter(told))
    lines = [
        "| variant | updates spared: interquartile mean (95 % interval) | problems that half of "
        f"the seeds solve | probability of improvement over {told[reference]} (95 % interval) |",
        "|---|--:|--:|--:|",
    ]
    for variant, title in told.items():
        ours = spared(sweep, variant)
        half = sum(2 * np.count_nonzero(scores) >= len(scores) for scores in ours)
        lines.append(f"| {title} | {interquartile_mean(ours):.2f} | {half} of {len(ours)} | ")
        if variant != reference:
            lines[-1] += f"{improvement(*_places(sweep, variant, reference)):.2f} "
        lines[-1] += "|"
    return "\n".join(lines)
