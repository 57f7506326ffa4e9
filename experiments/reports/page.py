"""One page about runs and sweeps: what was run, the results, and how certain they are."""

import base64
import collections
import dataclasses
import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from experiments.reports import charts
from experiments.reports.league import candidates, league
from experiments.reports.naming import distinct
from experiments.reports.problems import problems
from experiments.reports.results import Entry, comparisons, entries, seconds_per_step, spreads
from experiments.runs.records import judged, read_environment
from experiments.stats.comparisons import Comparison
from experiments.sweeps.folder import SweepFolder
from experiments.system.files import RunError, write_text
from experiments.system.terminal import duration
from gru_jax import fields

LEGEND = (
    "Solved: seeds that reached the target, with the 95 % Wilson interval of their share. "
    "Steps to solve: Kaplan-Meier median; unsolved seeds are censored at the budget. "
    "Losses and other metrics at the end: median and quartiles over the seeds; a loss that is not "
    "finite counts as infinite. Choose by validation examples, and report test examples. "
    "Input-blind: the best expected loss of a predictor that sees no input. "
    "Time: the trial's share of the training time, with compilation."
)


@dataclasses.dataclass(frozen=True)
class Cell:
    """One value of a table: its heading, its text, and a smaller remark behind it."""

    label: str
    text: str
    more: str = ""
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Live:
    """What a page that is followed while trials go on has beside a report.

    seconds: until it is asked for again.
    progress: how far it is.
    """

    seconds: int
    progress: str


def write_report(folders: list[Path], output: Path, command: str, data: Sequence[str] = ()) -> None:
    """Writes one self-contained HTML page about runs and sweeps.

    Args:
      folders: of runs or sweeps; if there are several, trials are named FOLDER/TRIAL.
      command: the command that makes this page.
      data: where the runs' data files lie now; where they lay at the last training by default.

    Raises:
      RunError: a folder is neither, or holds nothing yet.
    """
    names = distinct(folders) if len(folders) > 1 else {}
    found = [entry for folder in folders for entry in _named(folder, names.get(folder), data)]
    if not any(entry.summary or entry.state.reason for entry in found):
        raise RunError(f"{folders[0]}: no run in it has ended yet")
    write_text(output, page(folders, found, command))


def page(folders: list[Path], found: list[Entry], command: str, live: Live | None = None) -> str:
    """The page about trials in these folders; that of a report shows those that have ended."""
    tests, names = comparisons(found), distinct(folders)
    ended = [entry for entry in found if entry.summary]
    begun = lambda entry: not entry.summary and not entry.state.reason and entry.curve["step"]
    running = [entry for entry in found if live and begun(entry)]
    shown = {*ended, *running}
    groups = problems([entry for entry in found if entry in shown])
    table = league(candidates(found, shown))
    tables = {
        title: [_row(each) for each in group if each.summary] for title, group in groups.items()
    }
    return rendered(
        live=live,
        title=", ".join(names[folder] for folder in folders),
        subtitle=_subtitle(found, ended),
        facts=[("command", _command(folder)) for folder in folders] + _facts(ended),
        failures=[_failure(entry) for entry in found if entry.state.reason],
        league=table if len(table.lines) > 1 else None,
        running=[_running(entry) for entry in running],
        legend=LEGEND,
        problems=[{"title": title, "rows": rows} for title, rows in tables.items() if rows],
        tests=[_test(entry, tests[entry.name]) for entry in found if entry.name in tests],
        figures=charts.figures(groups),
        command=command,
    )


def rendered(**values: Any) -> str:
    """page.html with these values; what is missing is left out."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    template = jinja2.Environment(autoescape=True, loader=loader).get_template("page.html")
    script = (Path(__file__).parent / "page.js").read_text()
    # Nothing but this script may run, whatever a name or a reason that is shown contains.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return template.render(script=Markup(script), digest=f"sha256-{digest}", **values)


def _named(folder: Path, prefix: str | None, data: Sequence[str]) -> list[Entry]:
    """The trials of a folder, with its name before theirs."""
    found, whole = entries(folder, data), folder.resolve().name
    if prefix is None:
        return found
    renamed = lambda name: name and (prefix if name == whole else f"{prefix}/{name}")
    return [
        dataclasses.replace(e, name=renamed(e.name), reference=renamed(e.reference)) for e in found
    ]


def _subtitle(found: list[Entry], ended: list[Entry]) -> str:
    count = collections.Counter(entry.state.status for entry in found)
    seconds = sum(entry.summary["wall_seconds"] for entry in ended if entry.summary)
    seeds = sum(len(entry.settings.seeds) for entry in ended)
    states = ", ".join(f"{number} {status}" for status, number in count.items())
    trials, models = fields.counted(len(found), "trial"), fields.counted(seeds, "model")
    return f"{trials} ({states}), {models}, {duration(seconds)} of training"


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
        values = [
            f"{v} ({fields.counted(n, 'run')})" if len(counts) > 1 else v for v, n in counts.items()
        ]
        facts.append((name, "; ".join(values[:4]) + ("; ..." if len(values) > 4 else "")))
    return facts


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
        Cell("validation loss", _number(median), f"{_number(first)}..{_number(third)}"),
        *_judged(summary),
        Cell("input-blind", _number(summary["baseline_loss"])),
        Cell("diverged", f"{diverged}/{sums.seeds}", kind="bad" if diverged else ""),
        Cell("s a step", "" if seconds is None else f"{seconds:.2g}"),
        Cell("time", duration(summary["wall_seconds"])),
    ]


def _judged(summary: dict[str, Any]) -> list[Cell]:
    """The metrics of test examples; runs before schema 3 have none but those of validation."""
    cells = []
    for name, (first, median, third) in spreads(judged(summary)).items():
        if "test" in summary or name != "loss":
            label = f"{'test' if 'test' in summary else 'validation'} {name.replace('_', ' ')}"
            cells.append(Cell(label, _number(median), f"{_number(first)}..{_number(third)}"))
    return cells


def _running(entry: Entry) -> list[Cell]:
    found = {name: values[-1] for name, values in entry.curve.items()}
    step = entry.state.step
    learning = sum(row["split"] == "eval" and row["step"] == step for row in entry.metrics)
    spread = f"{_number(found['low'])}..{_number(found['high'])}"
    return [
        Cell("trial", entry.name),
        Cell("state", entry.state.status),
        Cell("step", f"{step:,}", f"of {entry.settings.steps:,}"),
        Cell("evaluation loss", _number(found["median"]), spread),
        Cell("input-blind", _number(entry.settings.experiment.task.baseline_loss)),
        Cell("still learning", f"{learning}/{len(entry.settings.seeds)}"),
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
