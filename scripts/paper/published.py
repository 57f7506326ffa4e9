"""The published numbers of results/published.json beside the committed sweeps', as tables."""

import dataclasses
import json
import shlex
from typing import Any

import numpy as np
from scipy import stats

from experiments.figures import style
from experiments.stats.outcomes import quartiles
from experiments.system.files import write_bytes
from scripts.paper import pages, results, starts
from scripts.paths import FIGURES

PUBLISHED = results.RESULTS / "published.json"


@dataclasses.dataclass(frozen=True)
class Published:
    """One comparison. Ours is the best, by validation, of the trials that begin with `trial`.

    published: the number and its source; empty if there is none.
    why: how the two setups differ, in one line.
    metric: "accuracy" in percent, "loss", or "sequences", the number of training sequences until
      solved. The first two are of the test split, or of fresh examples if the task makes its own.
    cell: the cell and its start, in words.
    """

    task: str
    sweep: str
    trial: str
    published: str = ""
    why: str = ""
    metric: str = "accuracy"
    cell: str = ""


def load() -> list[dict[str, Any]]:
    """Each problem with its published numbers, their sources, and what differs.

    A row without a number names a source that we could not read. Without a source, none is known.
    """
    return json.loads(PUBLISHED.read_text())


def rows() -> list[Published]:
    """For each problem, the rows that the file names, then the other variants of the sweep."""
    return [row for problem in load() for row in _rows(problem)]


def _rows(problem: dict[str, Any]) -> list[Published]:
    known = {row["variant"]: row for row in problem["rows"]}
    begins = f"{problem['trials']}-"
    cells = {
        each.row["trial"].removeprefix(begins).rpartition("-lr")[0]: each.row["cell"]
        for each in results.load(problem["sweep"])
        if each.row["trial"].startswith(begins)
    }
    found = []
    for variant in dict.fromkeys([*known, *starts.ordered(cells)]):
        row = known.get(variant, {})
        found.append(
            Published(
                problem["task"],
                problem["sweep"],
                f"{begins}{variant}",
                _published(row),
                problem["why"] + row.get("more", "") if "source" in row else "",
                problem["metric"],
                row.get("cell") or starts.title(cells[variant], variant),
            )
        )
    return found


def _published(row: dict[str, str]) -> str:
    if "source" not in row:
        return ""
    if "number" not in row:
        return f"in {row['source']}, not read"
    return f"{' '.join(row[part] for part in ('number', 'of') if part in row)} ({row['source']})"


def chosen(row: Published) -> dict[str, Any]:
    """The trial whose models validate best, or solve the task soonest."""
    trials = results.load(row.sweep)
    rivals = [trial for trial in trials if trial.row["trial"].startswith(f"{row.trial}-")]
    if row.metric == "sequences":
        return max(rivals, key=results.merit).row
    sign = -1 if row.metric == "loss" else 1
    return max(
        rivals, key=lambda trial: sign * trial.row["summary"]["eval"][row.metric]["mean"]
    ).row


def judged(trial: dict[str, Any], metric: str) -> list[float]:
    """One number per seed, on the test split or on fresh examples."""
    return results.Result(trial).judged[metric]["per_seed"]


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean over the seeds and its 95 % interval, by Student's t."""
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return float(mean), float(mean - half), float(mean + half)


def table(some: list[Published]) -> str:
    """Published numbers and ours as a Markdown table, and each sweep's command."""
    lines = [
        "| task | cell | published | ours: mean (95 % interval) | seeds | parameters | rate "
        "| what differs |",
        "|---|---|---|--:|--:|--:|--:|---|",
    ]
    used: dict[str, list[dict[str, Any]]] = {}
    for row in some:
        trial = chosen(row)
        used.setdefault(row.sweep, []).append(trial)
        lines.append(
            f"| {row.task} | {row.cell} | {row.published or 'nobody'} | {_ours(row, trial)} "
            f"| {trial['seeds']} | {trial['parameters']:,} "
            f"| {trial['optimizer.learning_rate']:g} | {row.why} |"
        )
    lines.append("")
    for sweep, trials in used.items():
        commits = ", ".join(sorted({trial["commit"][:8] for trial in trials}))
        steps = " to ".join(f"{steps:,}" for steps in _ends([t["budget"] for t in trials]))
        # A trial's command has the sweep's --config, which may also name a data file.
        (config,) = (a for a in shlex.split(trials[0]["command"]) if a.startswith("--config="))
        lines.append(
            f"{sweep}: `python -m experiments.sweep {config}` at commit {commits}, {steps} steps; "
            f"{pages.made_on(trials)}.{pages.earlier(trials)}"
        )
    return "\n".join(lines)


def _ends(values: list[int]) -> list[int]:
    return sorted({min(values), max(values)})


def _ours(row: Published, trial: dict[str, Any]) -> str:
    if row.metric == "sequences":
        sums = results.Result(trial).outcomes
        share, batch = f"{sums.solved}/{sums.seeds}", trial["train.batch_size"]
        if sums.median_steps is None:
            return f"{share} within {trial['budget'] * batch:,}"
        return f"{sums.median_steps * batch:,.12g} (median; {share})"
    mean, low, high = interval(judged(trial, row.metric))
    if row.metric == "loss":  # a loss is never negative, even if the symmetric interval is
        return f"{mean:#.3g} ({max(low, 0):#.3g}..{high:#.3g})"
    return f"{mean:.1%} ({100 * low:.1f}..{100 * high:.1f})".replace("%", " %")


def whole() -> str:
    """The table of docs/published.md."""
    return table(rows())


def draw() -> None:
    """The share of right digits over the length of the copy problem, one line per start."""
    figure, (axis,) = style.panels((6, 3.6))
    copies: dict[str, list[dict[str, Any]]] = {}
    for row in rows():
        if row.trial.startswith("copy-"):
            copies.setdefault(row.cell, []).append(chosen(row))
    for (label, trials), line in zip(copies.items(), style.lines(len(copies)), strict=True):
        lengths = [trial["length"] for trial in trials]
        seeds = [judged(trial, "accuracy") for trial in trials]
        spread = zip(*map(quartiles, seeds), strict=True)
        style.band(axis, lengths, spread, marker="o", label=label, **line)
    axis.axhline(1 / 8, **results.BLIND, label="guessing")
    axis.set(xscale="log", ylim=(0, 1.02), xlabel="blank steps T", ylabel="digits right")
    axis.set_xticks(lengths, [str(length) for length in lengths])
    axis.minorticks_off()
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    write_bytes(FIGURES / "copy_lengths.png", style.saved(figure))
