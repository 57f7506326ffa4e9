"""Measures how gradients go back. Its flags and its page of --help are `usage.GRADIENTS`."""

import dataclasses
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags

from experiments import usage
from experiments.measurements import gradients as measurements
from experiments.reports.results import entries
from experiments.runs.environment import environment
from experiments.runs.loading import restored
from experiments.runs.state import start
from experiments.runs.workdir import check_schema
from experiments.settings.options import settable
from experiments.settings.resolution import Settings
from experiments.settings.schema import identity
from experiments.settings.trials import from_file, only
from experiments.system import commandline
from experiments.system.files import (
    RunError,
    check_own,
    check_plain,
    make_folder,
    read_json,
    write_bytes,
    write_json,
)
from experiments.system.lock import LOCK, held
from experiments.system.terminal import duration
from gru_jax import fields
from gru_jax.devices import use_cpu_cores
from gru_jax.training import TrainState

INITIAL, BEFORE, AFTER = "initial", "before", "after"
MEASURED = "gradients.json"
FIGURES = ("transport", "loss", "weights", "exponents", "gates", "trained", "trained_gates")
OURS = {LOCK, MEASURED, INITIAL, BEFORE, AFTER, *(f"{name}.png" for name in FIGURES)}


@dataclasses.dataclass(frozen=True)
class Subject:
    """A population to be measured.

    workdir: the folder of the run that trained it; None: the population before training.
    """

    when: str
    name: str
    settings: Settings
    workdir: Path | None = None


def main() -> int:
    options = flags.FLAGS
    file = commandline.config_file()
    todo = [
        Subject(INITIAL, trial.name, trial.settings)
        for trial in only(from_file(file, options.config), options.only)
    ]
    for entry in _finished(Path(options.runs), options.data) if options.runs else []:
        todo += [Subject(BEFORE, entry.name, entry.settings)]
        todo += [Subject(AFTER, entry.name, entry.settings, entry.workdir)]
    folder = Path(options.workdir)
    if folder.is_dir():  # before the work as well
        check_own(folder, OURS.__contains__, "no measurements of gradients")
    measure = {
        "inputs": fields.integer("--inputs", options.inputs, 1),
        "exponents": fields.integer("--exponents", options.exponents, 1),
    }
    for subject in todo:
        measurements.check(subject.settings, measure["inputs"])
    use_cpu_cores(max(len(subject.settings.seeds) for subject in todo), 1)
    for subject in todo:
        if subject.workdir:
            check_schema(subject.workdir, subject.settings.config)  # its start was another
            restored(
                subject.workdir, subject.settings
            )  # fails now if a run cannot be read, before the work on others
    make_folder(folder)
    with held(folder, options.force):
        check_plain(folder)
        check_own(folder, OURS.__contains__, "no measurements of gradients")
        found = _measured(folder, todo, measure)
        write_json(folder / MEASURED, found | {"environment": environment()})
        # Imported only now, because matplotlib reads a file in the current folder.
        from experiments.figures import gradients as figures

        drawn = figures.figures(found)
        for name, figure in drawn.items():
            write_bytes(folder / f"{name}.png", figure)
    print(f"measured: {folder / 'gradients.json'}")
    print(f"figures:  {', '.join(str(folder / f'{name}.png') for name in drawn)}")
    return 0


def _finished(runs: Path, data: Sequence[str]) -> list[Any]:
    found = [entry for entry in entries(runs, data) if entry.summary]
    if not found:
        raise RunError(f"--runs={runs}: no run there has ended yet")
    return found


def _state(subject: Subject) -> TrainState:
    if subject.workdir:
        return restored(subject.workdir, subject.settings).state
    return start(subject.settings)


def _measured(
    folder: Path,
    todo: list[Subject],
    measure: dict[str, int],
) -> dict[str, Any]:
    """Measures what is missing; returns everything, by time of measurement and by name."""
    found: dict[str, Any] = {}
    made = environment()
    began, taken = time.monotonic(), 0
    for index, subject in enumerate(todo, 1):
        path = folder / subject.when / f"{subject.name}.json"
        run = str(subject.workdir.resolve()) if subject.workdir else None
        config = identity(subject.settings.config)
        asked = json.loads(json.dumps({"config": config, "run": run, **measure}))
        if path.exists():
            result = read_json(path, "")
            if result.get("asked") != asked or "commit" not in result:
                raise RunError(
                    f"{path} was measured of something else, or by an earlier version: "
                    "use another --workdir"
                )
        else:
            each = (time.monotonic() - began) / taken if taken else None
            left = f", about {duration(each * (len(todo) - index + 1))} left" if each else ""
            print(f"[{index}/{len(todo)}] {subject.when} {subject.name}{left}", flush=True)
            state = _state(subject)
            before = time.monotonic()
            result = measurements.measure(subject.settings, state, **measure)
            result["seconds"] = round(time.monotonic() - before, 2)
            # Recorded for each, since the code may change before the rest is measured.
            result |= {key: made[key] for key in ("commit", "modified")}
            result["schema"] = subject.settings.config["schema"]
            path.parent.mkdir(exist_ok=True)
            write_json(path, result | {"asked": asked})
            taken += 1
        result.pop("asked", None)  # present if it was read from disk
        found.setdefault(subject.when, {})[subject.name] = result
    return found


if __name__ == "__main__":
    commandline.run(main, usage.GRADIENTS, settable)
