"""The records of a run, read from its folder; a damaged one is said to be so in one line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiments.settings.schema import complete, has_file, with_data
from experiments.system.files import RunError, check_plain, read_json, read_json_if_any
from gru_jax import FieldError

SWEEP = "sweep.json"  # in the folder of a sweep


def read_config(workdir: Path, data: Sequence[str] = ()) -> dict[str, Any]:
    """A run's config, with fields that were added later at their defaults.

    Args:
      data: where its data file lies now; where it lay at the last training by default.

    Raises:
      RunError: the folder holds no run, or something that is neither a file nor a folder.
      FieldError: a later version has stored it, or its data file is another one, or it has none.
    """
    _check_run(workdir)
    check_plain(workdir)  # reading a pipe would wait for ever
    config = complete(read_json(workdir / "config.json", f"{workdir} holds no run"))
    if data and not has_file(config):
        raise FieldError("--data", data[0], f"left out: {workdir} has no data file")
    return with_data(config, data)


def _check_run(workdir: Path) -> None:
    """Raises RunError if it is no run, or a sweep, of which a trial has to be named."""
    if (workdir / "config.json").exists():
        return
    if (workdir / SWEEP).exists():
        begun = sorted(path.parent for path in workdir.glob("trials/*/config.json"))
        such = f"such as {begun[0]}" if begun else "none of which has begun"
        raise RunError(f"{workdir} is a sweep: give one of its trials, {such}")
    missing = "it is a file" if workdir.is_file() else "there is no such folder"
    if workdir.is_dir():
        missing = "config.json is missing"
    raise RunError(f"{workdir} holds no run ({missing})")


def read_environment(workdir: Path) -> dict[str, Any]:
    return read_json(workdir / "environment.json", f"{workdir} holds no run")


def recorded_cores(workdir: Path, count: int) -> int:
    """CPU devices of this process when the run began: as many give the same bits again."""
    try:
        recorded = read_environment(workdir)
    except RunError:
        return 0
    devices = recorded.get("devices")
    if recorded.get("device") != "cpu" or not isinstance(devices, int) or devices > 1024:
        return 0
    return devices // count if devices % count == 0 else 0


def read_summary(workdir: Path) -> dict[str, Any] | None:
    path = workdir / "summary.json"
    # A run that is gone on with removes it, at any moment.
    summary = read_json_if_any(path)
    if summary is not None and not _sound(summary):
        raise RunError(f"{path} is damaged: delete it, and the same command ends the run again")
    return summary


def _sound(summary: dict[str, Any]) -> bool:
    """Whether it holds everything that is read from it: anyone may have written it."""
    listed = lambda found, kind: (
        isinstance(found, list) and all(isinstance(value, kind | None) for value in found)
    )
    numbers = ("step", "wall_seconds", "parameters", "baseline_loss")
    lists = ("seeds", "solved_step", "diverged_step")
    measured = lambda found: (
        isinstance(found, dict)
        and "loss" in found
        and all(
            isinstance(f, dict) and listed(f.get("per_seed"), int | float) for f in found.values()
        )
    )
    return (
        isinstance(summary.get("status"), str)
        and all(isinstance(summary.get(name), int | float) for name in numbers)
        and all(listed(summary.get(name), int) for name in lists)
        and measured(summary.get("eval"))
        and measured(judged(summary))
    )


def judged(summary: dict[str, Any]) -> dict[str, Any]:
    """The metrics that are shown: of test examples; runs before schema 3 had none."""
    return summary.get("test", summary["eval"])


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The complete lines of metrics.jsonl (a kill can leave an incomplete last one).

    Raises:
      RunError: it holds something else.
    """
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    rows = []
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\n"):
            try:
                row = json.loads(line)
                named = row["split"] in ("train", "eval") and type(row["step"]) is int
                numbers = [value for name, value in row.items() if name != "split"]
                sound = named and all(isinstance(n, int | float | None) for n in numbers)
                sound = sound and type(row["seed"]) is int
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                sound = False
            if not sound:
                raise RunError(f"{path}: line {number} is damaged")
            rows.append(row)
    return rows


def last_step(workdir: Path) -> int:
    """The step of the last complete line of metrics, without reading the whole file; 0 if none."""
    path = workdir / "metrics.jsonl"
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            line = file.read().splitlines(keepends=True)[-2]
        return int(json.loads(line)["step"])
    except (OSError, ValueError, TypeError, LookupError):
        return 0
