"""One page about runs and sweeps: what was run, the results, and how certain they are."""

import base64
import collections
import dataclasses
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
import matplotlib

from experiments.comparisons import Comparison
from experiments.estimates import duration
from experiments.files import RunError, write_text
from experiments.results import Entry, comparisons, curve, entries, seconds_per_step
from experiments.sweep_folder import SweepFolder
from experiments.workdir import read_environment

matplotlib.use("Agg")
from matplotlib import pyplot as plt

TEMPLATE = Path(__file__).with_name("report.html")
# Okabe and Ito's colours, and dashes for print in grey.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9", "#999999")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
LEGEND = (
    "Solved: seeds that reached the target, with the 95 % Wilson interval of their share. "
    "Steps to solve: Kaplan-Meier median; unsolved seeds are censored at the budget. "
    "Final loss: median and quartiles over the seeds. Baseline: the best expected loss of a "
    "predictor that sees no input. Time: the trial's share of the training time, with compilation."
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table: its heading, its text, and a smaller remark behind it."""

    label: str
    text: str
    more: str = ""
    kind: str = ""


def write_report(folders: list[Path], output: Path, command: str) -> None:
    """Writes one self-contained HTML page about runs and sweeps.

    Args:
      folders: of runs or sweeps; if there are several, trials are named FOLDER/TRIAL.
      command: the command that makes this page.

    Raises:
      RunError: a folder is neither, or holds nothing yet.
    """
    found = [entry for folder in folders for entry in _named(folder, several=len(folders) > 1)]
    tests: dict[str, Comparison] = {}
    for folder in folders:
        mine = [entry for entry in found if entry.workdir.is_relative_to(folder)]
        tests |= comparisons(mine)
    ended = [entry for entry in found if entry.summary]
    if not ended and not any(entry.state.reason for entry in found):
        raise RunError(f"{folders[0]}: no run in it has ended yet")
    problems = _problems(ended)
    page = jinja2.Environment(autoescape=True).from_string(TEMPLATE.read_text())
    write_text(
        output,
        page.render(
            title=", ".join(folder.resolve().name for folder in folders),
            subtitle=_subtitle(found, ended),
            facts=[("command", _command(folder)) for folder in folders] + _facts(ended),
            failures=[_failure(entry) for entry in found if entry.state.reason],
            legend=LEGEND,
            problems=[
                {"title": title, "rows": [_row(entry) for entry in group]}
                for title, group in problems.items()
            ],
            tests=[_test(entry, tests[entry.name]) for entry in found if entry.name in tests],
            figures=_figures(problems),
            command=command,
        ),
    )


def _named(folder: Path, several: bool) -> list[Entry]:
    found = entries(folder)
    if not several:
        return found
    prefix = folder.resolve().name
    renamed = lambda name: name if name is None or name == prefix else f"{prefix}/{name}"
    return [
        dataclasses.replace(e, name=renamed(e.name), reference=renamed(e.reference)) for e in found
    ]


def _subtitle(found: list[Entry], ended: list[Entry]) -> str:
    count = collections.Counter(entry.state.status for entry in found)
    seconds = sum(entry.summary["wall_seconds"] for entry in ended if entry.summary)
    seeds = sum(len(entry.settings.seeds) for entry in ended)
    states = ", ".join(f"{number} {status}" for status, number in count.items())
    return f"{len(found)} trials ({states}), {seeds} models, {duration(seconds)} of training"


def _command(folder: Path) -> str:
    """The command as it was typed."""
    sweep = SweepFolder(folder)
    return str(sweep.command if sweep.exists() else read_environment(folder).get("command"))


def _facts(ended: list[Entry]) -> list[tuple[str, str]]:
    """What the results depend on. If runs differ, each value with its number of runs."""
    environments = [entry.environment for entry in ended]
    told = {
        "commit": lambda e: (e["commit"] or "none") + (" (modified)" if e["modified"] else ""),
        "devices": lambda e: f"{e['devices']} x {e['device']}, {e['processor']}",
        "versions": lambda e: ", ".join(
            [f"Python {e['python']}", *(f"{name} {v}" for name, v in e["packages"].items())]
        ),
    }
    facts = []
    for name, tell in told.items():
        counts = collections.Counter(map(tell, environments))
        if not counts:
            continue
        values = [f"{v} ({n} runs)" if len(counts) > 1 else v for v, n in counts.items()]
        facts.append((name, "; ".join(values[:4]) + ("; ..." if len(values) > 4 else "")))
    return facts


def _problems(ended: list[Entry]) -> dict[str, list[Entry]]:
    """The entries by task, since losses are only comparable within one.

    If these are too many for one figure, entries that differ in more than the model are separated.
    """
    groups: dict[str, list[Entry]] = {}
    for group in _grouped(ended, lambda config: config["task"]):
        outside = lambda config: {**config, "model": None, "name": None}
        for part in _grouped(group, outside) if len(group) > len(COLORS) else [group]:
            groups.setdefault(_title(part, ended), []).extend(part)
    return groups


def _grouped(found: list[Entry], key: Callable[[dict[str, Any]], Any]) -> list[list[Entry]]:
    groups: dict[str, list[Entry]] = {}
    for entry in found:
        told = json.dumps(key(entry.settings.config), sort_keys=True)
        groups.setdefault(told, []).append(entry)
    return list(groups.values())


def _title(group: list[Entry], ended: list[Entry]) -> str:
    """The task, its length, and what else distinguishes the group from other groups."""
    configs = [entry.settings.config for entry in group]
    task = configs[0]["task"]
    same = [e.settings.config for e in ended if e.settings.config["task"]["name"] == task["name"]]
    told = [
        f"{name.replace('_', ' ')} = {value}"
        for section in ("task", "optimizer", "train")
        for name, value in configs[0][section].items()
        if name not in ("name", "length")
        and all(config[section].get(name) == value for config in configs)
        and any(config[section].get(name) != value for config in same)
    ]
    length = group[0].settings.experiment.task.length
    return ", ".join([task["name"].replace("_", " "), f"T = {length}", *told])


def _row(entry: Entry) -> list[Cell]:
    assert entry.summary
    assert entry.outcomes
    sums, summary = entry.outcomes, entry.summary
    (low, high), (first, median, third) = sums.success, sums.loss
    diverged = sum(step is not None for step in summary["diverged_step"])
    seconds = seconds_per_step(entry)
    steps = "not reached" if sums.median_steps is None else f"{sums.median_steps:,}"
    if entry.settings.experiment.target is None:
        solved, steps = Cell("solved", "no target"), "no target"
    else:
        interval = f"{100 * low:.0f}..{100 * high:.0f} %"
        solved = Cell("solved", f"{sums.solved}/{sums.seeds}", interval)
    return [
        Cell("trial", entry.name),
        Cell("parameters", f"{summary['parameters']:,}"),
        solved,
        Cell("steps to solve", steps, f"of {entry.settings.steps:,}"),
        Cell("final loss", _number(median), f"{_number(first)}..{_number(third)}"),
        Cell("baseline", _number(summary["baseline_loss"])),
        Cell("diverged", f"{diverged}/{sums.seeds}", kind="bad" if diverged else ""),
        Cell("s a step", "" if seconds is None else f"{seconds:.2g}"),
        Cell("time", duration(summary["wall_seconds"])),
    ]


def _test(entry: Entry, test: Comparison) -> list[Cell]:
    return [
        Cell("trial", entry.name),
        Cell("reference", str(entry.reference)),
        Cell("ahead", f"{100 * test.better:.0f} %"),
        Cell("p", f"{test.p:.2g}"),
        Cell("p after Holm", f"{test.p_holm:.2g}", kind="best" if test.p_holm < 0.05 else ""),
    ]


def _failure(entry: Entry) -> list[Cell]:
    return [
        Cell("trial", entry.name, kind="bad"),
        Cell("step", f"{entry.state.step:,}"),
        Cell("reason", entry.state.reason, kind="words"),
    ]


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "not finite"


def _figures(problems: dict[str, list[Entry]]) -> list[dict[str, Any]]:
    if not problems:
        return []
    figures = [
        {
            "title": "Learning curves",
            "images": [_curves(title, group) for title, group in problems.items()],
            "caption": "Evaluation loss over the steps: median over the seeds, quartiles shaded. "
            "A seed that is done keeps its last loss. Dotted: the input-blind loss.",
        }
    ]
    lines = _over_length([entry for group in problems.values() for entry in group])
    if lines:
        figures.append(
            {
                "title": "Success and final loss over T",
                "images": [_lengths(task, group) for task, group in lines.items()],
                "caption": "Left: share of the seeds that solved the task, 95 % Wilson interval. "
                "Right: final loss, median and quartiles; dotted: the input-blind loss.",
            }
        )
    return figures


def _curves(title: str, group: list[Entry]) -> str:
    figure, axis = plt.subplots(figsize=(9, 3.8), layout="constrained")
    for index, entry in enumerate(group):
        steps, low, median, high = curve(entry).values()
        color, dash = _style(index)
        axis.plot(steps, median, color=color, ls=dash, lw=1.8, label=entry.name)
        axis.plot(steps[-1:], median[-1:], "o", color=color, ms=4)
        axis.fill_between(steps, low, high, color=color, alpha=0.15, lw=0)
    baseline = group[0].settings.experiment.task.baseline_loss
    axis.axhline(baseline, color="#555555", lw=1, ls=(0, (1, 2)))
    axis.set(yscale="log", xlabel="step", ylabel="evaluation loss")
    bottom, top = axis.get_ylim()
    if top < 3 * bottom:  # too small a range for readable ticks on a logarithmic scale
        axis.set_yscale("linear")
    axis.set_title(title, loc="left", fontsize=10)
    return _image(figure, axis)


def _over_length(ended: list[Entry]) -> dict[str, dict[str, list[Entry]]]:
    """By task, lines of entries that differ only in the task's length (and the width)."""
    lines: dict[str, dict[str, list[Entry]]] = {}
    for entry in ended:
        config = json.loads(json.dumps(entry.settings.config))
        config["task"].pop("length", None)  # collected data have their own length
        del config["model"]["hidden_sizes"]
        task = config["task"]["name"].replace("_", " ")
        lines.setdefault(task, {}).setdefault(json.dumps(config, sort_keys=True), []).append(entry)
    named = {
        task: {_common(line): line for line in groups.values() if len(line) > 1}
        for task, groups in lines.items()
    }
    return {task: groups for task, groups in named.items() if groups}


def _common(line: list[Entry]) -> str:
    """The shared part of the names of a line's trials: "chrono" for T50-chrono and T100-chrono."""
    first, *rest = [entry.name.split("-") for entry in line]
    return "-".join(word for word in first if all(word in other for other in rest)) or line[0].name


def _lengths(task: str, lines: dict[str, list[Entry]]) -> str:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    baseline: dict[int, Entry] = {}
    for index, (name, line) in enumerate(lines.items()):
        ordered = sorted(line, key=lambda entry: entry.settings.experiment.task.length)
        sums = [entry.outcomes for entry in ordered if entry.outcomes]
        lengths = [entry.settings.experiment.task.length for entry in ordered]
        shift = 1 + 0.012 * (index - len(lines) / 2)  # so that intervals do not hide each other
        places = [length * shift for length in lengths]
        color, dash = _style(index)
        style: dict[str, Any] = {"color": color, "ls": dash, "marker": "o", "ms": 4, "capsize": 2}
        shares = [each.solved / each.seeds for each in sums]
        left.errorbar(
            places,
            shares,
            [
                [share - each.success[0] for share, each in zip(shares, sums, strict=True)],
                [each.success[1] - share for share, each in zip(shares, sums, strict=True)],
            ],
            label=name,
            **style,
        )
        medians = [each.loss[1] for each in sums]
        right.errorbar(
            places,
            medians,
            [
                [median - each.loss[0] for median, each in zip(medians, sums, strict=True)],
                [each.loss[2] - median for median, each in zip(medians, sums, strict=True)],
            ],
            **style,
        )
        baseline |= {e.settings.experiment.task.length: e for e in ordered}
    known = sorted(baseline)
    losses = [baseline[length].settings.experiment.task.baseline_loss for length in known]
    right.plot(known, losses, color="#555555", lw=1, ls=(0, (1, 2)))
    left.set(xscale="log", xlabel="T", ylabel="share solved", ylim=(-0.05, 1.05))
    right.set(xscale="log", yscale="log", xlabel="T", ylabel="final loss")
    for axis in (left, right):
        axis.set_xticks(known, [str(length) for length in known])
        axis.minorticks_off()
    left.set_title(task, loc="left", fontsize=10)
    return _image(figure, left, right)


def _style(index: int) -> tuple[str, Any]:
    return COLORS[index % len(COLORS)], DASHES[index % len(DASHES)]


def _image(figure: Any, *axes: Any) -> str:
    """The figure as a data URI, with a legend beside it."""
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(axis="y", color="#e6eaee", lw=0.6)
    figure.legend(loc="outside right upper", frameon=False, fontsize=9)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    plt.close(figure)
    return f"data:image/svg+xml;base64,{base64.b64encode(drawn.getvalue()).decode()}"
