"""Published numbers beside those of the committed sweeps, as tables."""

import dataclasses
import shlex
from typing import Any

import numpy as np
from matplotlib import pyplot as plt
from scipy import stats

from experiments.files import write_bytes
from experiments.gradient_figures import FAMILIES, png
from experiments.outcomes import quartiles
from scripts import pages, results

GREYDANUS = "Greydanus & Kobak (2024)"
HOCHREITER = "Hochreiter & Schmidhuber (1997)"
BAI = "Bai et al. (2018)"
CHUNG = "Chung et al. (2014)"


@dataclasses.dataclass(frozen=True)
class Published:
    """What is compared: of a sweep's trials that `trial` begins the better, by validation.

    published: the number and who has it; empty where nobody has.
    why: the difference between the two, in one line.
    metric: "accuracy" in percent, "loss", or "sequences": of training, until solved. The first
      two are of the test split, or of fresh examples where the task makes its own.
    cell: in words, where it is more than its family.
    """

    task: str
    sweep: str
    trial: str
    published: str = ""
    why: str = ""
    metric: str = "accuracy"
    cell: str = ""


FLATTEN = "MNIST-1D, both ways, all outputs flattened"
LAST = "MNIST-1D, one way, last state"
COPY_LENGTHS = (10, 30, 100)
ORDER = "temporal order 6a, about 156 weights: sequences until solved"
ADDING = "adding, marks anywhere, T = 200, about 70,000 weights: loss"
STARTS = {"gru": "GRU", "gru_chrono": "GRU, chrono", "lstm": "LSTM", "lstm_chrono": "LSTM, chrono"}


def _order(trial: str, cell: str, published: str = "", why: str = "") -> Published:
    trial = f"temporal_order-T100-{trial}"
    return Published(ORDER, "reproductions", trial, published, why, "sequences", cell)


def _adding(cell: str, published: str, why: str) -> Published:
    trial = f"adding_anywhere-T200-{cell}"
    return Published(ADDING, "reproductions", trial, f"{published} at T = 600 ({BAI})", why, "loss")


def _copy(length: int, start: str) -> Published:
    limit = {(100, "gru"): 200, (30, "lstm"): 50}.get((length, start))
    return Published(
        f"copy, T = {length}, about 10,000 weights: digits right",
        "reproductions",
        f"copy-T{length}-{start}",
        f"under 20 % before T = {limit} ({BAI})" if limit else "",
        "digits one-hot, not as scalars; 96,000 fresh sequences, not 10,000 again and again; Adam "
        "at 0.01, not RMSprop at 0.0005"
        if limit
        else "",
        cell=STARTS[start],
    )


REGULARISED = "nothing regularises but the choice by validation"
MUSIC = {  # sweep: name, weights and losses of Bai et al.'s models, what differs
    "chorales": (
        "JSB Chorales",
        "300,000",
        {"gru": 8.43, "lstm": 8.45, "vanilla": 8.91},
        f"Adam on windows of 64 steps; {REGULARISED}",
    ),
    "nottingham": (
        "Nottingham",
        "1,000,000",
        {"gru": 3.46, "lstm": 3.29, "vanilla": 4.05},
        f"the budget ends it, not overfitting; Adam, on a cosine to 0, on windows of 100 steps; "
        f"{REGULARISED}",
    ),
}


def _music(sweep: str) -> list[Published]:
    """A sweep over piano rolls: the sizes of Chung et al., and those of Bai et al."""
    name, weights, losses, why = MUSIC[sweep]
    first = dict.fromkeys(FAMILIES, f"in {CHUNG}, not read")
    if sweep == "chorales":
        first["gru"] = f"8.54 ({CHUNG})"
    sizes = [
        ("small", "36 to 100 units", why, first),
        (
            "large",
            f"about {weights} weights",
            f"{why}; one rate",
            {c: f"{losses[c]} ({BAI})" for c in FAMILIES},
        ),
    ]
    return [
        Published(
            f"{name}, {amount}: nats a step",
            sweep,
            f"{size}-{cell}",
            published[cell],
            why,
            "loss",
        )
        for size, amount, why, published in sizes
        for cell in FAMILIES
    ]


SHORTER = "a third of the length; 64,000 fresh sequences, Adam from 0.005 on a cosine to 0"
ROWS = [
    _order(
        "lstm_1997",
        "LSTM without forget gate",
        f"31,390 ({HOCHREITER})",
        "Adam on batches of 16; every unit has gates of its own, which start half open; solved: 99 "
        "% of 512 fresh sequences right",
    ),
    *(_order(start, words) for start, words in STARTS.items()),
    _order("vanilla", FAMILIES["vanilla"]),
    _adding(
        "gru", "5.3e-05", f"{SHORTER}; a seed stops as soon as it has reached the published loss"
    ),
    _adding("lstm", "0.164", f"{SHORTER}: within reach of an LSTM"),
    _adding("vanilla", "0.177", f"{SHORTER}: out of reach too"),
    *(_copy(length, start) for length in COPY_LENGTHS for start in STARTS),
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
    *(row for sweep in MUSIC for row in _music(sweep)),
    *(Published("digits of 8 x 8 pixels, one by one", "digits", f"rows-{c}") for c in FAMILIES),
]


def chosen(row: Published) -> dict[str, Any]:
    """The trial whose models validate best, or are the sooner solved."""
    trials = results.load(row.sweep)
    rivals = [trial for trial in trials if trial.row["trial"].startswith(f"{row.trial}-")]
    if row.metric == "sequences":
        return max(rivals, key=results.merit).row
    sign = -1 if row.metric == "loss" else 1
    return max(
        rivals, key=lambda trial: sign * trial.row["summary"]["eval"][row.metric]["mean"]
    ).row


def judged(trial: dict[str, Any], metric: str) -> list[float]:
    """Of the test split, or of fresh examples, one number a seed."""
    summary = trial["summary"]
    return summary.get("test", summary["eval"])[metric]["per_seed"]


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
    used: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        trial = chosen(row)
        used.setdefault(row.sweep, []).append(trial)
        lines.append(
            f"| {row.task} | {row.cell or FAMILIES[trial['cell']]} "
            f"| {row.published or 'nobody'} | {_ours(row, trial)} "
            f"| {trial['seeds']} | {trial['parameters']:,} "
            f"| {trial['optimizer.learning_rate']:g} | {row.why} |"
        )
    lines.append("")
    for sweep, trials in used.items():
        commits = ", ".join(sorted({trial["commit"][:8] for trial in trials}))
        steps = " to ".join(f"{steps:,}" for steps in _ends([t["budget"] for t in trials]))
        # Of the command of one trial what starts them all: its config names the data file too.
        (config,) = (a for a in shlex.split(trials[0]["command"]) if a.startswith("--config="))
        lines.append(
            f"{sweep}: `python -m experiments.sweep {config}` at commit {commits}, {steps} steps; "
            f"{pages.made_with(trials[0])}."
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
        return f"{sums.median_steps * batch:,} (median; {share})"
    mean, low, high = interval(judged(trial, row.metric))
    if row.metric == "loss":  # never negative, whatever a symmetric interval says
        return f"{mean:#.3g} ({max(low, 0):#.3g}..{high:#.3g})"
    return f"{mean:.1%} ({100 * low:.1f}..{100 * high:.1f})".replace("%", " %")


def whole() -> str:
    """The table of docs/published.md."""
    return table(ROWS)


def headline() -> str:
    """README's: of made examples the rows that somebody has published, of collected ones all."""
    return table([row for row in ROWS if row.published or row.sweep != "reproductions"])


def draw() -> None:
    """The digits that are right over the length of the copy problem, one line a start."""
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for start, color, dashes in zip(STARTS, results.COLORS, results.DASHES, strict=False):
        seeds = [judged(chosen(_copy(length, start)), "accuracy") for length in COPY_LENGTHS]
        low, median, high = zip(*map(quartiles, seeds), strict=True)
        axis.plot(COPY_LENGTHS, median, "o", ls=dashes, color=color, lw=1.8, label=STARTS[start])
        axis.fill_between(COPY_LENGTHS, low, high, color=color, alpha=0.18, lw=0)
    axis.axhline(1 / 8, **results.BLIND, label="guessing")
    axis.set(xscale="log", ylim=(0, 1.02), xlabel="blank steps T", ylabel="digits right")
    axis.set_xticks(COPY_LENGTHS, [str(length) for length in COPY_LENGTHS])
    axis.minorticks_off()
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=3, frameon=False, fontsize=9)
    write_bytes(results.FIGURES / "copy_lengths.png", png(figure))
