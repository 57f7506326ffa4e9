"""One page about runs and sweeps: what was run, the results, and how certain they are."""

import collections
import dataclasses
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2

from experiments.figures import style
from experiments.reports import charts
from experiments.reports.results import Entry, comparisons, entries, seconds_per_step
from experiments.runs.records import read_environment
from experiments.settings.schema import by_content
from experiments.stats.comparisons import Comparison
from experiments.sweeps.folder import SweepFolder
from experiments.system.files import RunError, write_text
from experiments.system.terminal import duration

TEMPLATE = Path(__file__).with_name("page.html")
LEGEND = (
    "Solved: seeds that reached the target, with the 95 % Wilson interval of their share. "
    "Steps to solve: Kaplan-Meier median; unsolved seeds are censored at the budget. "
    "Final loss: median and quartiles over the seeds, where one that is not finite counts as "
    "infinite. Baseline: the best expected loss of a "
    "predictor that sees no input. Time: the trial's share of the training time, with compilation."
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table: its heading, its text, and a smaller remark behind it."""

    label: str
    text: str
    more: str = ""
    kind: str = ""


def write_report(folders: list[Path], output: Path, command: str, data: Sequence[str] = ()) -> None:
    """Writes one self-contained HTML page about runs and sweeps.

    Args:
      folders: of runs or sweeps; if there are several, trials are named FOLDER/TRIAL.
      command: the command that makes this page.
      data: where the runs' data files lie now; where they lay at the last training by default.

    Raises:
      RunError: a folder is neither, or holds nothing yet.
    """
    found = [entry for folder in folders for entry in _named(folder, len(folders) > 1, data)]
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
            figures=charts.figures(problems),
            command=command,
        ),
    )


def _named(folder: Path, several: bool, data: Sequence[str]) -> list[Entry]:
    found = entries(folder, data)
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
    for group in _grouped(ended, lambda config: by_content(config)["task"]):
        outside = lambda config: {**by_content(config), "model": None, "name": None}
        for part in _grouped(group, outside) if len(group) > len(style.COLORS) else [group]:
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
        f"{name.replace('_', ' ')} = {Path(value).name if name == 'path' else value}"
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
    if entry.settings.experiment.target is None:
        solved, steps = Cell("solved", "no target"), "no target"
    else:
        steps = sums.steps
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
