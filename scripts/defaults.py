"""What the config of every synthetic task achieves: time, score, other lengths, gates.

python -m scripts.defaults DIR    trains what is missing in DIR, one run after the other (on an
                                  idle machine), and writes results/defaults.json
"""

import functools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from matplotlib import pyplot as plt

from experiments.files import RunError, read_json, write_bytes, write_json, write_text
from experiments.gates import CLOSED, OPEN
from experiments.gradient_figures import png
from experiments.outcomes import outcomes, quartiles
from experiments.settings import resolve
from experiments.workdir import read_config
from gru_jax.tasks.verdict import Verdict
from scripts import pages

ROOT = Path(__file__).parent.parent
MEASURED = ROOT / "results" / "defaults.json"
FIGURES = ROOT / "docs" / "figures"
# By the name of a run: its config, and the options that the config's docstring gives for it.
RUNS = {
    "adding": ("adding", ()),
    "copy_memory": ("copy_memory", ()),
    "copy_memory, chrono": ("copy_memory", ("--config.model.gru.chrono_max=75.0",)),
    "variable_copy": ("variable_copy", ()),
    "selective_copy": ("selective_copy", ()),
    "copy_first": ("copy_first", ()),
    "temporal_order": ("temporal_order", ()),
    "temporal_order, 3": ("temporal_order", ("--config.task.relevant=3",)),
    "flip_flop": ("flip_flop", ()),
    "cumulative_sum": ("cumulative_sum", ()),
    "cumulative_sum, 5": ("cumulative_sum", ("--config.task.modulus=5",)),
    "bracket_counting": ("bracket_counting", ()),
    "mean_comparison": ("mean_comparison", ()),
    "savings": ("savings", ()),
    "verdict": ("verdict", ()),
    "verdict, start": (
        "verdict",
        ("--config.task.where=start", "--config.model.gru.chrono_max=100.0"),
    ),
}
# Runs of the verdict task whose gates are measured: options, and where the figure goes. They train
# to a small loss, long after accuracy is perfect, so that the gates have settled.
GATED = {
    "at the end": (("--config.task.where=end",), "verdict_end.png"),
    "at the start of 30 words": (
        ("--config.task.where=start", "--config.task.length=30"),
        "verdict_start.png",
    ),
    "at the start, chrono": (
        ("--config.task.where=start", "--config.model.gru.chrono_max=100.0"),
        "verdict_chrono.png",
    ),
}
SETTLED = ("--config.train.target_metric=loss", "--config.train.target=0.0001")
FACTORS = (0.5, 1, 2, 4)  # times the training length
CONFIGS = tuple(dict.fromkeys(config for config, _ in RUNS.values()))
EXPECTED = re.compile(r"^Expected: .*?(?=\n\n|\n?\"\"\")", re.MULTILINE | re.DOTALL)
WIDTH = 96


def measure(folder: Path) -> int:
    """Trains, evaluates and records.

    Raises:
      RunError: a program failed, or a run was made by code that is not committed.
    """
    runs = {name: _default(folder, name, *run) for name, run in RUNS.items()}
    gates = {name: _gates(folder, *run) for name, run in GATED.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(run)}" for name, run in runs.items()]
    written = '{"runs": {\n' + ",\n".join(lines) + '\n}, "gates": ' + json.dumps(gates) + "}\n"
    write_text(MEASURED, written)
    return 0


def _default(folder: Path, name: str, config: str, options: tuple[str, ...]) -> dict[str, Any]:
    """What a config achieves, at the training length and at others."""
    workdir = folder / name.replace(", ", "-")
    found = _trained(workdir, config, options)
    if not (workdir / "lengths.json").exists():
        lengths = ",".join(str(round(factor * found["length"])) for factor in FACTORS)
        _program("evaluate", f"--run={workdir}", f"--lengths={lengths}")
    return found | {"lengths": read_json(workdir / "lengths.json", "")}


def _gates(folder: Path, options: tuple[str, ...], figure: str) -> dict[str, Any]:
    """For every gate and seed: the mean in plot, turn and verdict, and the shares of units in which
    it is closed and open.
    """
    workdir = folder / "gates" / Path(figure).stem
    found = _trained(workdir, "verdict", (*options, *SETTLED))
    if not (workdir / "gates.json").exists():
        _program("gates", f"--run={workdir}")
    shutil.copy(workdir / "gates.png", FIGURES / figure)
    task = resolve(read_config(workdir)).experiment.task
    assert isinstance(task, Verdict)
    over = lambda steps, span: [statistics.fmean(seed[slice(*span)]) for seed in steps]
    found["gates"] = {
        gate: {
            kind: {part: over(means[kind], span) for part, span in task.spans.items()}
            for kind in ("by_step", "closed_by_step", "open_by_step")
        }
        for gate, means in read_json(workdir / "gates.json", "").items()
    }
    return found


def _trained(workdir: Path, config: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Trains the run if it is missing, and returns its results."""
    timed = workdir.with_suffix(".seconds.json")
    command = [f"--config=configs/{config}.py", *options]
    if not timed.exists():
        workdir.parent.mkdir(parents=True, exist_ok=True)
        print(workdir.name, flush=True)
        began = time.monotonic()
        _program("train", *command, f"--workdir={workdir}", "--force")
        write_json(timed, {"seconds": time.monotonic() - began})
    made = read_json(workdir / "environment.json", "")
    if made["modified"] or not made["commit"]:
        raise RunError(f"{workdir} was run by code that is not committed")
    resolved = read_json(workdir / "config.json", "")
    return {
        "command": " ".join(["python -m experiments.train", *command]),
        "seconds": round(read_json(timed, "")["seconds"], 1),
        "steps": resolved["train"]["steps"],
        "length": resolved["task"]["length"],
        "metric": resolved["train"]["target_metric"],
        "target": resolved["train"]["target"],
        "summary": read_json(workdir / "summary.json", ""),
        "made": {key: made[key] for key in ("commit", "python", "packages", "devices")},
    }


def _program(name: str, *options: str) -> None:
    # Timed as on a machine that has never compiled it.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    command = [sys.executable, "-m", f"experiments.{name}", *options]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise RunError(f"experiments.{name} {' '.join(options)} ended with {done.returncode}")


@functools.cache
def load() -> dict[str, Any]:
    """The committed measurements: "runs" by name, "gates" by where the verdict stands."""
    return json.loads(MEASURED.read_text())


def _score(run: dict[str, Any]) -> tuple[int, int, int | None, str]:
    """Seeds that solved it, seeds, median steps to solve, and the target metric in words."""
    summary = run["summary"]
    losses = summary["eval"]["loss"]["per_seed"]
    sums = outcomes(losses, summary["solved_step"], run["steps"])
    low, median, high = quartiles(summary["eval"][run["metric"]]["per_seed"])
    return sums.solved, sums.seeds, sums.median_steps, f"{median:.3g} ({low:.3g}..{high:.3g})"


def expected(config: str) -> str:
    """The paragraph 'Expected: ...' of a config's docstring."""
    words = ["Expected"]
    for name, (file, options) in RUNS.items():
        if file == config:
            with_options = f" With {' '.join(options)}" if options else ""
            words.append(f"{with_options}: {_expected(load()['runs'][name])}")
    return textwrap.fill("".join(words), WIDTH, break_on_hyphens=False)


def _expected(run: dict[str, Any]) -> str:
    solved, seeds, steps, score = _score(run)
    minutes = run["seconds"] / 60
    took = f"{minutes:.0f} min" if minutes >= 2 else f"{run['seconds']:.0f} s"
    when = f", half of all by step {steps:,}" if steps is not None else ""
    side = "below" if run["metric"] == "loss" else "above"
    return (
        f"{solved} of {seeds} seeds reach {run['metric']} {side} {run['target']:g}{when}; "
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
        "| task | T | solved | median steps to solve | metric | at the end: median (quartiles) "
        "| input-blind loss | seconds |",
        "|---|--:|--:|--:|---|--:|--:|--:|",
    ]
    for name, run in load()["runs"].items():
        solved, seeds, steps, score = _score(run)
        lines.append(
            f"| {_words(name)} | {run['length']} | {solved}/{seeds} "
            f"| {'not reached' if steps is None else f'{steps:,}'} | {run['metric']} | {score} "
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
    return "\n".join([*lines, "", "Medians over the seeds."])


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
        f"Means over units, steps and examples: median (lowest..highest) of eight seeds. Closed "
        f"and open: the share of units below {CLOSED:g} and above {OPEN:g}. Commands: {commands}; "
        f"then `python -m experiments.gates --run=DIR`."
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
        f"`python -m experiments.train --config=configs/NAME.py`; {varied}. Run one after another "
        f"by `python -m scripts.defaults DIR`, without cached programs, at commit {commits} on "
        f"{made[0]['devices']} CPU cores; {pages.made_with(made[0])}."
    )


def draw() -> None:
    """The figure of docs/tasks.md: the share of right answers over the length, by task."""
    runs = load()["runs"]
    columns = 4
    rows = -(-len(runs) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(10, 2.1 * rows), sharey=True, layout="constrained"
    )
    for axis in axes.flat[len(runs) :]:
        axis.set_visible(False)
    for axis, (name, run) in zip(axes.flat, runs.items(), strict=False):
        metric = _shown(run)
        at = [int(length) for length in run["lengths"]]
        seeds = list(zip(*(values[metric] for values in run["lengths"].values()), strict=True))
        for seed in seeds:
            axis.plot(at, seed, color="#9fb3c8", lw=0.8)
        median = [quartiles(values)[1] for values in zip(*seeds, strict=True)]
        axis.plot(at, median, "o-", color="#12355b", lw=1.8, ms=4)
        axis.axvline(run["length"], color="#b03a2e", lw=0.9, ls=(0, (1, 3)))
        axis.set(xscale="log", ylim=(-0.03, 1.03))
        axis.set_xticks(at, [str(length) for length in at])
        axis.minorticks_off()
        axis.set_title(_words(name), loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("length (dotted: of training)", fontsize=10)
    figure.supylabel("share of right answers", fontsize=10)
    write_bytes(FIGURES / "lengths.png", png(figure))


if __name__ == "__main__":
    sys.exit(pages.collect(__doc__, measure))
