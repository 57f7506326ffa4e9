"""Results of a sweep that is run part by part, anywhere: which are kept, and which are shown."""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.sweeps.folder import solves
from experiments.system.files import RunError, write_text
from gru_jax import fields
from scripts.paths import ROOT

SWEEPS = ROOT / "configs" / "sweeps"
# How many points of a curve are kept, of sweeps of so many trials that a file would exceed 1 MB.
POINTS = {"cogscale_starts": 6}


def merge(path: Path, rows: list[dict[str, Any]]) -> str:
    """Adds rows to results/NAME.jsonl, and says what has become of which.

    A row takes the place of the committed one of the same trial. The others stay, as long as the
    sweep has such a trial. All are in the order of the sweep.

    Raises:
      RunError: there is no sweep of that name.
    """
    lines = path.read_text().splitlines() if path.exists() else []
    old = {row["trial"]: row for row in map(json.loads, lines)}
    new = {row["trial"]: _thinned(row, POINTS.get(path.stem)) for row in rows}
    found = old | new
    merged = {trial: found[trial] for trial in trials(path.stem) if trial in found}
    write_text(path, "".join(json.dumps(row) + "\n" for row in merged.values()))

    kept = [trial for trial, row in merged.items() if old.get(trial) == row]
    replaced = [trial for trial in merged if trial in old and trial not in kept]
    dropped = [trial for trial in found if trial not in merged]
    counts = {
        "added": len(merged) - len(kept) - len(replaced),
        "replaced": len(replaced),
        "kept": len(kept),
        "dropped, which the sweep does not have": len(dropped),
    }
    told = ", ".join(f"{number} {how}" for how, number in counts.items() if number)
    names = f" ({', '.join(dropped)})" if dropped else ""
    return f"{fields.counted(len(merged), 'trial')}: {told}{names}"


def _thinned(row: dict[str, Any], points: int | None) -> dict[str, Any]:
    """A row with so many points of its curve, the first and the last among them."""
    if points is None:
        return row
    last = len(row["curve"]["step"]) - 1
    places = sorted({round(i * last / (points - 1)) for i in range(points)})
    return row | {"curve": {k: [each[i] for i in places] for k, each in row["curve"].items()}}


def shown(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of problems of which every trial has been run whose turn has come.

    A sweep may be run problem by problem, and have trials that come after others. Problems that
    have begun and are not complete would show a cell at whichever rate was run first.
    """
    after = trials(name)
    solved = {row["trial"]: solves(row["summary"]) for row in rows}
    left = {
        problem(trial)
        for trial, others in after.items()
        if trial not in solved and (not others or any(map(solved.get, others)))
    }
    return [row for row in rows if problem(row["trial"]) not in left]


def problem(trial: str) -> tuple[str, ...]:
    """A trial is named problem-size-variant-rate."""
    return tuple(trial.split("-")[:2])


def variants(name: str) -> dict[tuple[str, ...], set[str]]:
    """The variants that a sweep has trials of, by problem."""
    found: dict[tuple[str, ...], set[str]] = {}
    for trial in trials(name):
        found.setdefault(problem(trial), set()).add(trial.split("-")[2])
    return found


def trials(name: str) -> dict[str, Sequence[str]]:
    """The names of the trials of a sweep, in its order, and of those that each comes after.

    Raises:
      RunError: no file in configs/sweeps is of that name.
    """
    files = (importlib.import_module(f"configs.sweeps.{path.stem}") for path in _files())
    file = next((each for each in files if each.get_config().name == name), None)
    if file is None:
        raise RunError(f"results/{name}.jsonl: configs/sweeps has no sweep of that name")
    found: dict[str, Sequence[str]] = {}
    file.sweep(lambda trial, *_, after=(), **__: found.update({trial: after}))
    return found


def _files() -> list[Path]:
    return sorted(path for path in SWEEPS.glob("*.py") if path.stem != "__init__")
