"""The results of trials, one row each, for results.jsonl, results.csv and the report."""

import csv
import dataclasses
import functools
import io
import itertools
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.runs.records import (
    last_step,
    read_config,
    read_environment,
    read_metrics,
    read_summary,
)
from experiments.settings.resolution import Settings, resolve
from experiments.settings.schema import by_content, with_data
from experiments.stats.comparisons import Comparison, compared, ranked
from experiments.stats.outcomes import Outcomes, outcomes, quartiles
from experiments.sweeps.folder import DIVERGED, DONE, RUNNING, SLURM, WAITING, State, SweepFolder
from experiments.system.files import RunError, check_plain, finite, write_text
from experiments.system.lock import is_held

CURVE_POINTS = 40  # per learning curve in results.jsonl

Row = dict[str, Any]
Curve = dict[str, list[Any]]  # quartiles of a loss, by step; None where one is not finite


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """A trial of a sweep, or a single run.

    reference: the entry that it is tested against.
    sweep: the command of the sweep; empty for a single run.
    """

    name: str
    workdir: Path
    settings: Settings
    overrides: dict[str, Any]
    state: State
    reference: str | None = None
    sweep: str = ""

    @functools.cached_property
    def summary(self) -> dict[str, Any] | None:
        """None if the run has not ended, or was stopped."""
        return read_summary(self.workdir) if self.state.status in (DONE, DIVERGED) else None

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Empty where a trial has failed, or was killed, before this was written."""
        written = (self.workdir / "environment.json").exists()
        return read_environment(self.workdir) if written or self.summary else {}

    @property
    def command(self) -> str:
        """What trains it."""
        if self.sweep:
            return f"{self.sweep} --only={self.workdir.name}"
        return str(self.environment.get("command"))

    @property
    def metrics(self) -> list[Row]:
        """Read anew each time, since those of many trials fill the memory."""
        return read_metrics(self.workdir)

    @functools.cached_property
    def curve(self) -> dict[str, list[float]]:
        return curve(self)

    @functools.cached_property
    def outcomes(self) -> Outcomes | None:
        if self.summary is None:
            return None
        return outcomes(*self._outcome(), self.settings.steps)

    @property
    def ranked(self) -> list[tuple[float, float]]:
        return ranked(*self._outcome())

    def again(self) -> "Entry":
        """As its folder is now."""
        check_plain(self.workdir)
        folder = SweepFolder(self.workdir.parent.parent)
        state = folder.state(self.workdir.name) if self.sweep else _state(self.workdir)
        return dataclasses.replace(self, state=state)

    def _outcome(self) -> tuple[list[float | None], list[int | None]]:
        assert self.summary is not None
        return self.summary["eval"]["loss"]["per_seed"], self.summary["solved_step"]


def entries(path: Path, data: Sequence[str] = ()) -> list[Entry]:
    """The trials in a sweep's folder, or the run in a run's folder.

    Args:
      data: where their data files lie now; where they lay at the last training by default.

    Raises:
      RunError: it is neither, or damaged.
    """
    folder = SweepFolder(path)
    check_plain(path, but=SLURM)
    if folder.exists():
        command = folder.command
        return [
            Entry(
                name,
                folder.workdir(name),
                trial.settings,
                trial.overrides,
                folder.state(name),
                trial.reference,
                command,
            )
            for name, trial in folder.trials(data).items()
        ]
    if not (path / "config.json").exists():
        raise RunError(f"{path} holds neither a sweep nor a run")
    settings = resolve(with_data(read_config(path), data))
    return [Entry(path.resolve().name, path, settings, {}, _state(path))]


def _state(workdir: Path) -> State:
    """Of a run that is not a trial; one that has diverged is told like any other that has ended."""
    summary = read_summary(workdir)
    if summary and summary["status"] != "stopped":
        return State(DONE, summary["step"])
    return State(RUNNING if is_held(workdir) else WAITING, last_step(workdir))


def comparisons(found: list[Entry]) -> dict[str, Comparison]:
    """Each finished entry against its reference, corrected over all these comparisons."""
    by_name = {entry.name: entry for entry in found if entry.summary}
    tested = [entry for entry in by_name.values() if entry.reference and entry.reference in by_name]
    pairs = [(entry.ranked, by_name[str(entry.reference)].ranked) for entry in tested]
    return {entry.name: test for entry, test in zip(tested, compared(pairs), strict=True)}


def write_results(folder: SweepFolder) -> None:
    """Writes a row for every ended trial: results.jsonl, and its plain values as results.csv."""
    found = entries(folder.path)
    tests = comparisons(found)
    rows = [
        row(entry, tests.get(entry.name))
        for entry in found
        if entry.state.status not in (WAITING, RUNNING)
    ]
    write_text(
        folder.path / "results.jsonl", "".join(json.dumps(finite(row)) + "\n" for row in rows)
    )
    write_text(folder.path / "results.csv", as_csv(rows))


def row(entry: Entry, test: Comparison | None) -> Row:
    """The row of a trial: its config, results and provenance."""
    config, environment = entry.settings.config, entry.environment
    told: Row = {
        "trial": entry.name,
        "status": entry.state.status,
        "reason": entry.state.reason,
        **{name: _plain(value) for name, value in entry.overrides.items()},
        "task": config["task"]["name"],
        "length": entry.settings.experiment.task.length,
        "cell": config["model"]["cell"],
        "hidden_sizes": _plain(config["model"]["hidden_sizes"]),
        "parameters": entry.settings.experiment.parameters,
        "seeds": len(entry.settings.seeds),
        "budget": entry.settings.steps,
        "step": entry.state.step,
        "baseline_loss": entry.settings.experiment.task.baseline_loss,
    }
    if entry.summary and entry.outcomes:
        sums = entry.outcomes
        told |= {
            "solved": sums.solved,
            "success_low": sums.success[0],
            "success_high": sums.success[1],
            "median_steps": sums.median_steps,
            "loss_quarter": sums.loss[0],
            "loss_median": sums.loss[1],
            "loss_three_quarters": sums.loss[2],
            **_columns(entry.summary),
            "wall_seconds": entry.summary["wall_seconds"],
            "seconds_per_step": seconds_per_step(entry),
            "reference": entry.reference,
        }
        told |= dataclasses.asdict(test) if test else {}
    return {
        **told,
        "command": entry.command,
        "commit": environment.get("commit"),
        "modified": environment.get("modified"),
        "device": environment.get("device"),
        "devices": environment.get("devices"),
        "precision": environment.get("precision"),
        "schema": config["schema"],
        "config": by_content(config),
        "summary": entry.summary,
        "curve": thinned(entry.curve),
        "python": environment.get("python"),
        "packages": environment.get("packages"),
    }


def _columns(summary: dict[str, Any]) -> Row:
    """Quartiles of the test metrics; runs before schema 3 have none."""
    names = ("quarter", "median", "three_quarters")
    return {
        f"test_{metric}_{name}": value
        for metric, found in spreads(summary.get("test", {})).items()
        for name, value in zip(names, found, strict=True)
    }


def spreads(metrics: dict[str, Any]) -> dict[str, tuple[float, float, float]]:
    """Quartiles over the seeds of each metric. A loss that is not finite is infinite; other metrics
    are of the seeds that have them.
    """
    found = {
        name: [
            math.inf if value is None else value
            for value in metric["per_seed"]
            if value is not None or name == "loss"
        ]
        for name, metric in metrics.items()
    }
    return {name: quartiles(values) for name, values in found.items() if values}


def curve(entry: Entry) -> dict[str, list[float]]:
    """Quartiles of the evaluation loss over the seeds, by step; a frozen seed keeps its last."""
    last: dict[int, float] = {}
    found: dict[str, list[float]] = {"step": [], "low": [], "median": [], "high": []}
    rows = [row for row in entry.metrics if row["split"] == "eval"]
    for step, group in itertools.groupby(rows, lambda row: row["step"]):
        last |= {row["seed"]: math.inf if row["loss"] is None else row["loss"] for row in group}
        if len(last) == len(entry.settings.seeds):
            for name, value in zip(found, (step, *quartiles(last.values())), strict=True):
                found[name].append(value)
    return found


def thinned(found: dict[str, list[float]]) -> Curve:
    """The curve at few points, including the last one; a loss that is not finite is None."""
    count = len(found["step"])
    chosen = sorted({*range(0, count, -(-count // CURVE_POINTS) or 1), count - 1} - {-1})
    told = lambda value: float(f"{value:.4g}") if math.isfinite(value) else None
    return {
        name: [values[i] if name == "step" else told(values[i]) for i in chosen]
        for name, values in found.items()
    }


def seconds_per_step(entry: Entry) -> float | None:
    summary = entry.summary
    return summary["wall_seconds"] / summary["step"] if summary and summary["step"] else None


def as_csv(rows: list[Row]) -> str:
    """The rows' plain values as a table. Missing values are left empty."""
    columns = dict.fromkeys(
        name for row in rows for name, value in row.items() if not isinstance(value, dict)
    )
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """A value that fits one cell of a table."""
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
