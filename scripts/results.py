"""The committed results: train them, collect them, and write the tables that show them.

python -m scripts.results --train      train what is missing (about an hour on two cores)
python -m scripts.results --collect    runs/results/* -> results/long_dependencies.json
python -m scripts.results              results/ -> README's table and figure
python -m scripts.results --check      exit 1 where README does not show what results/ holds
"""

import argparse
import itertools
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

from experiments.files import RunError, write_text
from experiments.outcomes import Outcomes, outcomes, quartiles
from experiments.workdir import read_metrics, read_summary
from scripts import pages

ROOT = Path(__file__).parent.parent
RUNS = ROOT / "runs" / "results"
RESULTS = ROOT / "results" / "long_dependencies.json"
TRANSCRIPT = ROOT / "results" / "make_train.txt"  # what `make train` printed
README = ROOT / "README.md"
FIGURE = ROOT / "docs" / "figures" / "long_dependencies.png"
NAMES = {"gru": "GRU", "lstm": "LSTM", "vanilla": "vanilla RNN"}
TASKS = {"adding": "adding", "copy_memory": "copy"}
STEPS = {"adding": 2000, "copy_memory": 3000}

Trial = dict[str, Any]


def trials() -> list[Trial]:
    """Every population: three cells at two learning rates on each task and length.

    All cells get the same two rates and the better one is shown: with a single rate the
    comparison would be one of rates.
    """
    problems = [("adding", 100), ("adding", 200), *(("copy_memory", n) for n in (10, 20, 50))]
    return [
        {"task": task, "length": length, "cell": cell, "learning_rate": rate}
        for rate, (task, length), cell in itertools.product((1e-2, 1e-3), problems, NAMES)
    ]


def name(trial: Trial) -> str:
    return f"{trial['task']}-{trial['length']}-{trial['cell']}-{trial['learning_rate']:g}"


def command(trial: Trial) -> list[str]:
    """What a reader types to repeat a trial."""
    return [
        "python",
        "-m",
        "experiments.train",
        f"--config=configs/{trial['task']}.py",
        f"--config.task.length={trial['length']}",
        f"--config.model.cell={trial['cell']}",
        f"--config.optimizer.learning_rate={trial['learning_rate']:g}",
        f"--config.train.steps={STEPS[trial['task']]}",
    ]


def train() -> None:
    """Trains, one after the other, what has no summary yet."""
    for index, trial in enumerate(trials(), start=1):
        workdir = RUNS / name(trial)
        print(f"[{index}/{len(trials())}] {name(trial)}", flush=True)
        program = [sys.executable, *command(trial)[1:], f"--workdir={workdir}"]
        subprocess.run(program, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def collect() -> list[Trial]:
    """Reads every finished trial's summary, curve and environment."""
    found = []
    for trial in trials():
        workdir = RUNS / name(trial)
        summary = read_summary(workdir)
        if summary is None or summary["status"] == "stopped":
            print(f"{name(trial)}: not finished, left out")
            continue
        environment = json.loads((workdir / "environment.json").read_text())
        environment.pop("command")
        if environment["modified"] or not environment["commit"]:
            raise RunError(f"{workdir} was made by code that is not committed: train it again")
        found.append(
            {
                **trial,
                "command": " ".join(command(trial)),
                "budget": STEPS[trial["task"]],
                **summary,
                "curve": _curve(read_metrics(workdir), len(summary["seeds"])),
                "environment": environment,
            }
        )
    return found


def _curve(metrics: list[dict[str, Any]], seeds: int, points: int = 40) -> dict[str, list[float]]:
    """Quartiles of the evaluation loss over the steps; a frozen seed keeps its last loss."""
    by_step: dict[int, dict[int, float]] = {}
    last: dict[int, float] = {}
    for row in metrics:
        if row["split"] == "eval":
            last[row["seed"]] = math.inf if row["loss"] is None else row["loss"]
            by_step[row["step"]] = dict(last)
    steps = [step for step, losses in by_step.items() if len(losses) == seeds]
    steps = steps[:: -(-len(steps) // points)] + steps[-1:]
    steps = sorted(set(steps))
    low, median, high = zip(*(quartiles(by_step[s].values()) for s in steps), strict=True)
    rounded = {"low": low, "median": median, "high": high}
    return {"step": steps} | {name: [round(v, 6) for v in rounded[name]] for name in rounded}


def best(results: list[Trial]) -> list[Trial]:
    """Of each task, length and cell the rate that solves more seeds, then the lower loss."""
    chosen: dict[tuple[Any, ...], Trial] = {}
    for trial in sorted(results, key=_merit):
        chosen[trial["task"], trial["length"], trial["cell"]] = trial
    cells = list(NAMES)
    place = lambda trial: (trial["task"], trial["length"], cells.index(trial["cell"]))
    return sorted(chosen.values(), key=place)


def _merit(trial: Trial) -> tuple[float, float]:
    sums = _outcomes(trial)
    return sums.solved, -sums.loss[1]


def _outcomes(trial: Trial) -> Outcomes:
    return outcomes(trial["eval"]["loss"]["per_seed"], trial["solved_step"], trial["budget"])


def table(results: list[Trial]) -> str:
    """The results as a Markdown table."""
    lines = [
        "| task | T | cell | parameters | rate | solved (95 % interval) | median steps to solve | "
        "final loss: median (quartiles) | input-blind loss | right |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for trial in best(results):
        sums = _outcomes(trial)
        low, high = sums.success
        steps = "not reached" if sums.median_steps is None else f"{sums.median_steps:,}"
        first, median, third = sums.loss
        lines.append(
            f"| {TASKS[trial['task']]} | {trial['length']} | {NAMES[trial['cell']]} "
            f"| {trial['parameters']:,} | {trial['learning_rate']:g} "
            f"| {sums.solved}/{sums.seeds} ({low:.0%}..{high:.0%}) | {steps} "
            f"| {median:.3g} ({first:.3g}..{third:.3g}) | {trial['baseline_loss']:.4g} "
            f"| {_right(trial):.0%} |"
        )
    environment = results[0]["environment"]
    commits = sorted({trial["environment"]["commit"][:8] for trial in results})
    budgets = ", ".join(f"{TASKS[task]} {steps:,}" for task, steps in STEPS.items())
    lines += [
        "",
        f"{len(results[0]['seeds'])} seeds, one layer of 64 units, Adam, batch 64, budget in "
        f"steps: {budgets}; solved: an evaluation loss below 0.001 (adding), an "
        "accuracy above 0.99 on the ten digits (copy). Right: the median seed's share of "
        "answers within 0.04 (adding) or of digits (copy). Each cell was trained at the learning "
        "rates 0.01 and 0.001, and the better is shown. "
        f"Commit {', '.join(commits)}; {environment['devices']} CPU devices; "
        f"{pages.made_with(environment)}. One row's command: "
        f"`{best(results)[0]['command']}`; all rows: `python -m scripts.results --train`.",
    ]
    return "\n".join(lines)


def _right(trial: Trial) -> float:
    """Median over the seeds of the share of right answers."""
    metric = "correct" if trial["task"] == "adding" else "accuracy"
    return quartiles(trial["eval"][metric]["per_seed"])[1]


def readme(text: str, results: list[Trial]) -> str:
    """The README with its generated parts made anew."""
    transcript = f"```text\n{TRANSCRIPT.read_text()}```"
    return pages.fill(text, {"results": table(results), "make train": transcript})


def draw(results: list[Trial]) -> None:
    """Learning curves of every task and length, one line a cell with its quartiles."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    styles = {"gru": ("#1f4e79", "-"), "lstm": ("#c55a11", "--"), "vanilla": ("#7f7f7f", ":")}
    problems = sorted({(trial["task"], trial["length"]) for trial in results})
    figure, axes = plt.subplots(
        1, len(problems), figsize=(2.6 * len(problems), 3.3), sharey=True, layout="constrained"
    )
    for axis, (task, length) in zip(axes, problems, strict=True):
        for trial in best(results):
            if (trial["task"], trial["length"]) != (task, length):
                continue
            color, dashes = styles[trial["cell"]]
            steps = trial["curve"]["step"]
            low, median, high = (
                [loss / trial["baseline_loss"] for loss in trial["curve"][name]]
                for name in ("low", "median", "high")
            )
            axis.plot(steps, median, dashes, color=color, lw=1.8)
            axis.fill_between(steps, low, high, color=color, alpha=0.2, lw=0)
        axis.axhline(1, color="#b03a2e", lw=0.9, ls=(0, (1, 3)))
        axis.set(yscale="log", xlabel="step", xlim=(0, STEPS[task]))
        axis.set_title(f"{TASKS[task]}, T = {length}", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("evaluation loss / input-blind loss")
    lines = [plt.Line2D([], [], color=c, ls=d, lw=1.8) for c, d in styles.values()]
    lines.append(plt.Line2D([], [], color="#b03a2e", lw=0.9, ls=(0, (1, 3))))
    figure.legend(
        lines,
        [*NAMES.values(), "input-blind"],
        loc="outside upper center",
        ncols=4,
        frameon=False,
    )
    FIGURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(FIGURE, dpi=130)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--train", action="store_true")
    mode.add_argument("--collect", action="store_true")
    mode.add_argument("--check", action="store_true")
    chosen = parser.parse_args()
    if chosen.train:
        train()
        return 0
    if chosen.collect:
        lines = ",\n".join(json.dumps(trial) for trial in collect())
        write_text(RESULTS, f"[\n{lines}\n]\n")
        return 0
    results = json.loads(RESULTS.read_text())
    text = README.read_text()
    fresh = readme(text, results)
    if chosen.check:
        if fresh != text:
            print("README.md does not show results/: run python -m scripts.results")
        return int(fresh != text)
    write_text(README, fresh)
    draw(results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
