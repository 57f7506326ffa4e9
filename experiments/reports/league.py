"""The league: what competes in rows, the problems in columns, each at its best learning rate."""

import dataclasses
import functools
import hashlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from markupsafe import Markup

from experiments.reports import naming, svg
from experiments.reports.problems import grouped, task, title
from experiments.reports.results import Curve, Entry, thinned
from experiments.runs.records import judged
from experiments.stats.outcomes import Outcomes, outcomes, quartiles


@dataclasses.dataclass(frozen=True, eq=False)
class Candidate:
    """A trial, from its folder or from a row of results.

    trial: its name.
    row: what competes, such as a cell and its start.
    problem: the column.
    aim: whether there is a target that seeds can reach.
    baseline: the input-blind loss.
    summary: the run's, if it has ended.
    state: what it does and how far it is, if it has not.
    """

    trial: str
    row: str
    problem: str
    rate: str
    parameters: int
    budget: int
    aim: bool
    baseline: float
    command: str
    curve: Curve
    summary: dict[str, Any] | None = None
    state: tuple[str, str] = ("", "")

    @functools.cached_property
    def outcomes(self) -> Outcomes | None:
        """Those that are shown: of test examples, where the run had some."""
        if self.summary is None:
            return None
        losses = judged(self.summary)["loss"]["per_seed"]
        return outcomes(losses, self.summary["solved_step"], self.budget)

    @functools.cached_property
    def merit(self) -> tuple[float, ...]:
        """By which a rate is chosen: of validation examples, so that test examples judge it."""
        if self.summary is None:
            return ()
        losses = self.summary["eval"]["loss"]["per_seed"]
        return outcomes(losses, self.summary["solved_step"], self.budget).merit

    @property
    def measured(self) -> dict[str, tuple[str, str]]:
        """What it has achieved: each with its interval, or its quartiles over the seeds."""
        sums = self.outcomes
        if sums is None or self.summary is None:
            return {"solved": self.state}
        low, high = sums.success
        share = f"{sums.solved}/{sums.seeds}", f"{100 * low:.0f}..{100 * high:.0f} %"
        told = {"solved": share if self.aim else ("no target", ""), "loss": _spread(sums.loss)}
        for name, metric in judged(self.summary).items():
            finite = [value for value in metric["per_seed"] if value is not None]
            if name != "loss" and finite:
                told[name.replace("_", " ")] = _spread(quartiles(finite))
        return told


def _spread(found: tuple[float, float, float]) -> tuple[str, str]:
    first, median, third = (f"{value:.3g}" for value in found)
    return median, f"{first}..{third}"


@dataclasses.dataclass(frozen=True, eq=False)
class Standing:
    """A row's trials on one problem, the best rate first.

    place: among the rows on this problem, from 0; None if no trial has ended.
    """

    candidates: list[Candidate]
    place: int | None

    @property
    def best(self) -> Candidate:
        return self.candidates[0]

    @property
    def key(self) -> str:
        """The same for the same place, however often the page is made."""
        return (
            "at-"
            + hashlib.sha256(f"{self.best.row}\n{self.best.problem}".encode()).hexdigest()[:12]
        )

    @property
    def headline(self) -> tuple[str, str]:
        """What the table shows, and the smaller remark behind it."""
        best, sums = self.best, self.best.outcomes
        if sums is None:
            return best.state
        end = sums.end(best.baseline)
        return (f"{sums.solved}/{sums.seeds}", end) if best.aim else (end, "")

    @property
    def share(self) -> float:
        """How far it came, from 0 to 1: the share of seeds that solved it, or the share of the
        input-blind loss that is gone.
        """
        best, sums = self.best, self.best.outcomes
        if sums is None:
            return 0.0
        return sums.solved / sums.seeds if best.aim else max(0.0, 1 - sums.loss[1] / best.baseline)

    @property
    def told(self) -> str:
        """What a pointer that rests on it is shown."""
        best = self.best
        lines = [f"{best.row}, {best.problem}"]
        lines += [f"{name}: {text} ({more})" for name, (text, more) in best.measured.items()]
        lines += [f"learning rate {best.rate}, of {len(self.candidates)} tried", best.command]
        return "\n".join(lines)

    @property
    def drawing(self) -> Markup:
        others = [each.curve for each in self.candidates[1:]]
        return svg.learning_curves(self.best.curve, others, self.best.baseline)


@dataclasses.dataclass(frozen=True, eq=False)
class Line:
    """A row: its standing on each problem on which it has a trial."""

    name: str
    standings: dict[str, Standing]

    @property
    def parameters(self) -> tuple[int, int]:
        """The fewest and the most, since they depend on a problem's inputs and outputs."""
        found = [each.best.parameters for each in self.standings.values()]
        return min(found), max(found)

    @property
    def solved(self) -> int:
        """How many problems half of the seeds or more have solved."""
        return sum(each.best.aim and each.share >= 0.5 for each in self.standings.values())

    @property
    def ended(self) -> int:
        """On how many problems a trial has ended."""
        return sum(each.place is not None for each in self.standings.values())


@dataclasses.dataclass(frozen=True, eq=False)
class League:
    """The table: its columns and its rows."""

    problems: list[str]
    lines: list[Line]

    @property
    def aim(self) -> bool:
        """Whether any problem can be solved."""
        return any(each.best.aim for line in self.lines for each in line.standings.values())


def league(candidates: Iterable[Candidate]) -> League:
    """Rows by the number of problems that they solve, the others in the order of the trials."""
    found: dict[str, dict[str, list[Candidate]]] = {}
    problems: dict[str, list[tuple[float, ...]]] = {}
    for each in candidates:
        found.setdefault(each.row, {}).setdefault(each.problem, []).append(each)
        problems.setdefault(each.problem, [])
    for row in found.values():
        for problem, trials in row.items():
            trials.sort(key=lambda each: each.merit, reverse=True)
            if sums := trials[0].outcomes:
                problems[problem].append(sums.merit)
    for merits in problems.values():
        merits.sort(reverse=True)

    def standing(problem: str, trials: list[Candidate]) -> Standing:
        sums = trials[0].outcomes
        return Standing(trials, problems[problem].index(sums.merit) if sums else None)

    lines = [
        Line(name, {problem: standing(problem, trials) for problem, trials in row.items()})
        for name, row in found.items()
    ]
    return League(list(problems), sorted(lines, key=lambda line: -line.solved))


def candidates(found: Sequence[Entry], shown: Collection[Entry]) -> list[Candidate]:
    """The trials that are shown, of all in their folders."""
    rows = naming.rows(list(found))
    told = []
    for group in grouped(list(found), task):
        problem = title(group, list(found), ["task"])
        told += [_candidate(entry, rows[entry], problem) for entry in group if entry in shown]
    return told


def _candidate(entry: Entry, row: str, problem: str) -> Candidate:
    experiment = entry.settings.experiment
    step, budget = entry.state.step, entry.settings.steps
    return Candidate(
        trial=entry.name,
        row=row,
        problem=problem,
        rate=", ".join(f"{rate:g}" for rate in dict.fromkeys(entry.settings.learning_rates)),
        parameters=experiment.parameters,
        budget=budget,
        aim=experiment.target is not None,
        baseline=experiment.task.baseline_loss,
        command=entry.command,
        curve=thinned(entry.curve),
        summary=entry.summary,
        state=(entry.state.status, f"{step:,} of {budget:,}"),
    )
