"""Published numbers beside those of the committed sweeps, as tables."""

import dataclasses
from typing import Any

import numpy as np
from scipy import stats

from experiments.gradient_figures import FAMILIES
from scripts import pages, results

GREYDANUS = "Greydanus & Kobak (2024)"


@dataclasses.dataclass(frozen=True)
class Published:
    """What is compared: of a sweep's trials that `trial` begins the better, by validation.

    published: the number and who has it; empty where nobody has.
    why: the difference between the two, in one line.
    metric: of the test split: "accuracy" in percent, or "loss".
    """

    task: str
    sweep: str
    trial: str
    published: str = ""
    why: str = ""
    metric: str = "accuracy"


FLATTEN = "MNIST-1D, both ways, all outputs flattened"
LAST = "MNIST-1D, one way, last state"
ROWS = [
    Published(
        FLATTEN,
        "mnist1d",
        "flatten-gru",
        f"91 % ({GREYDANUS}, README; one seed of the notebook: 89.1 %)",
        "models chosen by a validation split, a tenth of the 4,000, in place of the test set; "
        "24 parameters fewer, since PyTorch's GRU has a second bias for two of its gates",
    ),
    Published(FLATTEN, "mnist1d", "flatten-lstm"),
    Published(FLATTEN, "mnist1d", "flatten-vanilla"),
    *(Published(LAST, "mnist1d", f"last-{cell}") for cell in FAMILIES),
]


def chosen(row: Published) -> dict[str, Any]:
    """The trial whose models validate best."""
    trials = [each.row for each in results.load(row.sweep)]
    rivals = [trial for trial in trials if trial["trial"].startswith(f"{row.trial}-")]
    sign = -1 if row.metric == "loss" else 1
    return max(rivals, key=lambda trial: sign * trial["summary"]["eval"][row.metric]["mean"])


def interval(values: list[float]) -> tuple[float, float, float]:
    """Mean over the seeds and its 95 % interval, by Student's t."""
    mean, error = np.mean(values), stats.sem(values)
    half = stats.t.ppf(0.975, len(values) - 1) * error
    return float(mean), float(mean - half), float(mean + half)


def table(rows: list[Published]) -> str:
    """Published and ours, as a Markdown table, and each sweep's command."""
    lines = [
        "| task | cell | published | ours: mean (95 % interval) | seeds | parameters | rate "
        "| what differs |",
        "|---|---|---|--:|--:|--:|--:|---|",
    ]
    used: dict[str, dict[str, Any]] = {}
    for row in rows:
        trial = used[row.sweep] = chosen(row)
        mean, low, high = interval(trial["summary"]["test"][row.metric]["per_seed"])
        if row.metric == "loss":
            ours = f"{mean:.2f} ({low:.2f}..{high:.2f})"
        else:
            ours = f"{mean:.1%} ({100 * low:.1f}..{100 * high:.1f})".replace("%", " %")
        lines.append(
            f"| {row.task} | {FAMILIES[trial['cell']]} | {row.published or 'nobody'} | {ours} "
            f"| {trial['seeds']} | {trial['parameters']:,} "
            f"| {trial['optimizer.learning_rate']:g} | {row.why} |"
        )
    lines.append("")
    for sweep, trial in used.items():
        command = trial["command"].partition(" --only")[0]
        lines.append(
            f"{sweep}: `{command}` at commit {trial['commit'][:8]}, {trial['budget']:,} steps; "
            f"{pages.made_with(trial)}."
        )
    return "\n".join(lines)


def whole() -> str:
    """The table of docs/published.md."""
    return table(ROWS)


def headline() -> str:
    """README's: the rows that somebody has published."""
    return table([row for row in ROWS if row.published])
