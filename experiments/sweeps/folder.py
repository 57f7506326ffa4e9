"""The folder of a sweep on disk.

DIR/sweep.json       its trials: name, config, overrides, reference, after
    trials/NAME/     one run per trial: see workdir.py
    failed/NAME.json why a trial failed
    logs/            what the workers printed
    slurm/           files of the jobs on a cluster
    results.jsonl, results.csv, report.html: see results.py and report.py
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from experiments.runs.environment import command
from experiments.runs.records import SWEEP, last_step, read_summary
from experiments.runs.workdir import check_config
from experiments.settings.resolution import resolve
from experiments.settings.schema import complete, with_data
from experiments.settings.trials import NAME, Trial
from experiments.system.files import (
    RunError,
    check_own,
    check_plain,
    read_json,
    read_json_if_any,
    synchronise,
    write_json,
)
from experiments.system.lock import LOCK, is_held
from gru_jax import fields

SLURM = "slurm"
DONE, DIVERGED, FAILED, RUNNING, WAITING = "done", "diverged", "failed", "running", "waiting"
FINISHED = (DONE, DIVERGED)  # running it again would change nothing


@dataclasses.dataclass(frozen=True)
class State:
    """The state of a trial.

    status: one of the five above.
    step: updates made so far, as far as the folder tells.
    reason: why it failed or diverged.
    """

    status: str
    step: int = 0
    reason: str = ""


class SweepFolder:
    """The folder of a sweep.

    elsewhere: trials that have been run in another folder, and whether a seed solved its task.
    """

    def __init__(self, path: Path, elsewhere: Mapping[str, bool] = MappingProxyType({})):
        self.path = path
        self.elsewhere = elsewhere

    def workdir(self, name: str) -> Path:
        return self.path / "trials" / name

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def open(self, trials: list[Trial], chosen: Sequence[Trial] | None = None) -> None:
        """Records the trials. A sweep may get new trials, but no trial may change.

        Args:
          chosen: those that are to run, by default all. If all of them have ended, the command
            trains nothing, and the one that did is kept.

        Raises:
          RunError: a trial of the same name had another config, or the folder holds other things.
        """
        check_plain(self.path, but=SLURM)  # submitit makes links there
        if not self.exists():
            check_own(self.path, lambda name: name == LOCK, "no sweep")
        for trial in trials:
            if (self.workdir(trial.name) / "config.json").exists():
                check_config(self.workdir(trial.name), trial.settings, extend=None)
        for name in ("trials", "failed", "logs"):
            (self.path / name).mkdir(exist_ok=True)
        synchronise(self.path)
        rows = [
            {
                "name": trial.name,
                "reference": trial.reference,
                "after": list(trial.after),
                "overrides": trial.overrides,
                "config": trial.settings.config,
            }
            for trial in trials
        ]
        missing = [
            trial
            for trial in (trials if chosen is None else chosen)
            if self.state(trial.name).status not in FINISHED and self.may_run(trial)
        ]
        told = self.command if self.exists() and not missing else command()
        write_json(self.path / SWEEP, {"command": told, "trials": rows})

    def exists(self) -> bool:
        return (self.path / SWEEP).exists()

    @property
    def command(self) -> str:
        """The last command that trained any of it."""
        return str(self._read().get("command"))

    def _read(self) -> dict[str, Any]:
        return read_json(self.path / SWEEP, f"{self.path} holds no sweep")

    def trials(self, data: Sequence[str] = ()) -> dict[str, Trial]:
        """The trials by name.

        Args:
          data: where their data files lie now.

        Raises:
          RunError: the folder holds no sweep, or a damaged one.
          FieldError: a trial's config has a value that is not allowed.
        """
        found = {}
        for row in _rows(self._read().get("trials"), self.path / SWEEP):
            settings = resolve(with_data(complete(row["config"]), data))
            told = row["name"], settings, row["overrides"], row["reference"]
            found[row["name"]] = Trial(*told, tuple(row.get("after", ())))  # not in earlier sweeps
        return found

    def state(self, name: str) -> State:
        if name in self.elsewhere:
            return State(DONE)
        workdir = self.workdir(name)
        summary = read_summary(workdir)
        if summary and summary["status"] == "diverged":
            return State(DIVERGED, summary["step"], _divergence(summary))
        if summary and summary["status"] != "stopped":
            return State(DONE, summary["step"])
        failure = read_json_if_any(self.path / "failed" / f"{name}.json")
        if failure is not None:
            return State(FAILED, last_step(workdir), str(failure.get("reason")))
        return State(RUNNING if is_held(workdir) else WAITING, last_step(workdir))

    def may_run(self, trial: Trial) -> bool:
        """Whether one of the trials that it comes after has solved its task."""
        return not trial.after or any(map(self._solved, trial.after))

    def _solved(self, name: str) -> bool:
        if name in self.elsewhere:
            return self.elsewhere[name]
        summary = read_summary(self.workdir(name))
        return summary is not None and summary["status"] != "stopped" and solves(summary)

    def fail(self, name: str, reason: str) -> None:
        write_json(self.path / "failed" / f"{name}.json", {"reason": reason})

    def forget_failure(self, name: str) -> None:
        (self.path / "failed" / f"{name}.json").unlink(missing_ok=True)


def solves(summary: dict[str, Any]) -> bool:
    """Whether a seed has solved its task."""
    return any(step is not None for step in summary["solved_step"])


def run_elsewhere(path: str) -> dict[str, bool]:
    """The trials in the results.jsonl of another folder, and whether a seed solved its task.

    Raises:
      RunError: there is no such file, or it holds something else.
    """
    try:
        lines = [json.loads(line) for line in Path(path).read_bytes().splitlines()]
        ended = [row for row in lines if row["status"] in FINISHED]
        return {str(row["trial"]): solves(row["summary"]) for row in ended}
    except OSError as error:
        raise RunError(f"--done={path}: {error.strerror}") from None
    except (ValueError, TypeError, LookupError):
        raise RunError(f"--done={path}: must be the results.jsonl of a sweep") from None


def _divergence(summary: dict[str, Any]) -> str:
    first = min(step for step in summary["diverged_step"] if step is not None)
    steps = fields.counted(first, "step")
    return f"the loss of every seed is no longer finite, the first after {steps}"


def _rows(found: Any, path: Path) -> list[dict[str, Any]]:
    """The rows of sweep.json, checked, since anyone may have written them."""
    keys = {"name", "reference", "overrides", "config"}
    words = lambda names: isinstance(names, list) and all(isinstance(name, str) for name in names)
    sound = isinstance(found, list) and all(
        isinstance(row, dict)
        and row.keys() - {"after"} == keys
        and words(row.get("after", []))
        and isinstance(row["name"], str)
        and NAME.fullmatch(row["name"])
        and isinstance(row["reference"], str | None)
        and isinstance(row["overrides"], dict)
        and isinstance(row["config"], dict)
        for row in found
    )
    if not sound:
        raise RunError(f"{path} is damaged")
    return found
