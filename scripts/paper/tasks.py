"""What docs/tasks.md and the configs' docstrings show of `scripts.paper.defaults`' measurements."""

import re
import textwrap
from typing import Any

from experiments.figures import style
from experiments.measurements.gates import CLOSED, OPEN
from experiments.stats.outcomes import Outcomes, outcomes, quartiles
from experiments.system.files import write_bytes
from scripts.paper import pages
from scripts.paper.defaults import FACTORS, RUNS, load
from scripts.paths import FIGURES

CONFIGS = tuple(dict.fromkeys(config for config, _ in RUNS.values()))
EXPECTED = re.compile(r"^Expected: .*?(?=\n\n|\n?\"\"\")", re.MULTILINE | re.DOTALL)
WIDTH = 96


def _score(run: dict[str, Any]) -> tuple[Outcomes, str]:
    """The outcomes of a run's seeds, and its target metric in words."""
    summary = run["summary"]
    losses = summary["eval"]["loss"]["per_seed"]
    sums = outcomes(losses, summary["solved_step"], run["steps"])
    low, median, high = quartiles(summary["eval"][run["metric"]]["per_seed"])
    return sums, f"{median:.3g} ({low:.3g}..{high:.3g})"


def expected(config: str) -> str:
    """The paragraph 'Expected: ...' of a config's docstring."""
    words = ["Expected"]
    for name, (file, options) in RUNS.items():
        if file == config:
            with_options = f" With {' '.join(options)}" if options else ""
            words.append(f"{with_options}: {_expected(load()['runs'][name])}")
    return textwrap.fill("".join(words), WIDTH, break_on_hyphens=False)


def _expected(run: dict[str, Any]) -> str:
    sums, score = _score(run)
    minutes = run["seconds"] / 60
    took = f"{minutes:.0f} min" if minutes >= 2 else f"{run['seconds']:.0f} s"
    when = f", half of all by step {sums.steps}" if sums.median_steps is not None else ""
    side = "below" if run["metric"] == "loss" else "above"
    target = f"{run['metric']} {side} {run['target']:g}"
    return (
        f"{sums.solved} of {sums.seeds} seeds reach {target}{when}; "
        f"{run['metric']} at the end {score}; {took} on {run['made']['devices']} CPU cores."
    )


def docstring(config: str, text: str) -> str:
    """The text of a config's file with that paragraph as the committed run has it."""
    fresh, count = EXPECTED.subn(expected(config), text, count=1)
    assert count, f"configs/{config}.py has lost its paragraph 'Expected: '"
    return fresh


def table() -> str:
    """Time and score of every config, as a Markdown table."""
    lines = [
        "| task | T | solved | median steps to solve | metric "
        "| at the end, on validation examples: median (quartiles) "
        "| input-blind loss | seconds |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for name, run in load()["runs"].items():
        sums, score = _score(run)
        lines.append(
            f"| {_words(name)} | {run['length']} | {sums.solved}/{sums.seeds} "
            f"| {sums.steps} | {run['metric']} | {score} "
            f"| {run['summary']['baseline_loss']:.4g} | {run['seconds']:.0f} |"
        )
    return "\n".join([*lines, "", _provenance()])


def lengths() -> str:
    """The models of each task, evaluated at lengths other than that of training."""
    heads = " | ".join(f"{factor:g} T" for factor in FACTORS)
    lines = [f"| task | T | metric | {heads} |", "|---|--:|---|" + "--:|" * len(FACTORS)]
    for name, run in load()["runs"].items():
        metric = _shown(run)
        cells = [f"{quartiles(values[metric])[1]:.3g}" for values in run["lengths"].values()]
        lines.append(f"| {_words(name)} | {run['length']} | {metric} | {' | '.join(cells)} |")
    note = f"Medians over the seeds.{pages.earlier(load()['runs'].values())}"
    return "\n".join([*lines, "", note])


def gates() -> str:
    """What each gate does in each part of the review, by the place of the verdict."""
    parts = ("plot", "turn", "verdict")
    lines = [
        f"| verdict | gate | {' | '.join(f'mean in the {part}' for part in parts)} "
        f"| closed in the plot | closed at the turn | open in the plot |",
        "|---|---|" + "--:|" * (len(parts) + 3),
    ]
    for name, run in load()["gates"].items():
        for gate, found in run["gates"].items():
            closed, opened = found["closed_by_step"], found["open_by_step"]
            shares = closed["plot"], closed["turn"], opened["plot"]
            cells = [_spread(found["by_step"][part]) for part in parts]
            cells += [f"{quartiles(share)[1]:.0%}" for share in shares]
            lines.append(f"| {name} | {gate} | {' | '.join(cells)} |")
    commands = "; ".join(f"{name}: `{run['command']}`" for name, run in load()["gates"].items())
    note = (
        f"Means over units, steps and examples: median (lowest..highest) of eight seeds; closed: "
        f"below {CLOSED:g}, open: above {OPEN:g}, share of units. {commands}; then `python -m "
        f"experiments.gates --run=DIR`.{pages.earlier(load()['gates'].values())}"
    )
    return "\n".join([*lines, "", note])


def _spread(values: list[float]) -> str:
    return f"{quartiles(values)[1]:.2f} ({min(values):.2f}..{max(values):.2f})"


def _shown(run: dict[str, Any]) -> str:
    """The name of the metric that is a share of right answers."""
    (metric,) = (name for name in run["summary"]["eval"] if name != "loss")
    return metric


def _words(name: str) -> str:
    return name.replace("_", "-")


def _provenance() -> str:
    runs = load()["runs"]
    made = [run["made"] for run in runs.values()]
    commits = ", ".join(sorted({each["commit"][:8] for each in made}))
    varied = "; ".join(
        f"{_words(name)} with `{' '.join(RUNS[name][1])}`" for name in runs if RUNS[name][1]
    )
    return (
        f"`python -m experiments.train --config=configs/NAME.py`; {varied}. One after the other, "
        f"with nothing compiled before, at commit {commits} on {made[0]['devices']} CPU cores; "
        f"{pages.made_with(made[0])}. `python -m scripts.paper.defaults DIR` makes them anew."
        f"{pages.earlier(runs.values())}"
    )


def draw() -> None:
    """The figure of docs/tasks.md: the share of right answers over the length, by task."""
    runs = load()["runs"]
    figure, axes = style.grid(len(runs), 2.5, 2.1, sharey=True)
    for axis, (name, run) in zip(axes, runs.items(), strict=True):
        metric = _shown(run)
        at = [int(length) for length in run["lengths"]]
        seeds = list(zip(*(values[metric] for values in run["lengths"].values()), strict=True))
        for seed in seeds:
            axis.plot(at, seed, color=style.SEED, lw=0.8)
        median = [quartiles(values)[1] for values in zip(*seeds, strict=True)]
        axis.plot(at, median, "o-", color=style.INK, lw=1.8, ms=4)
        axis.axvline(run["length"], color=style.MARK, lw=0.9, ls=style.DOTTED)
        axis.set(xscale="log", ylim=(-0.03, 1.03))
        axis.set_xticks(at, [str(length) for length in at])
        axis.minorticks_off()
        axis.set_title(_words(name), loc="left", fontsize=10)
    figure.supxlabel("length (dotted: of training)", fontsize=10)
    figure.supylabel("share of right answers", fontsize=10)
    write_bytes(FIGURES / "lengths.png", style.saved(figure))
