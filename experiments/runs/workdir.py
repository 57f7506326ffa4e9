"""The folder of a run: opened anew, or found again with the same config.

WORKDIR/config.json        the resolved config: every field, and the version of its schema
        environment.json   versions, git commit, devices, command line
        metrics.jsonl      {"step", "split", "seed", metrics...}; without timings, so that
                           equal runs have equal files; of "train" also the "gradient_norm", and
                           where it varies the "learning_rate" of the last of these steps
        events.out.tfevents.*  derived from metrics.jsonl
        checkpoints/       one folder per step: see checkpoints.py
        lock.json          the host and number of the process that writes here, if any
        summary.json       how it ended
        curves.png
"""

from pathlib import Path
from typing import Any

from experiments.runs.environment import environment
from experiments.runs.records import read_config, read_environment
from experiments.settings.resolution import Settings
from experiments.settings.schema import SCHEMA, by_content, changes_since, has_file, without
from experiments.system.files import RunError, check_own, check_plain, write_json


def open_workdir(workdir: Path, settings: Settings, extend: bool = False) -> None:
    """Writes what identifies the run; if that exists, checks that it is the same run.

    Args:
      extend: allow a higher number of steps than before, where that changes no earlier step.

    Raises:
      RunError: the folder belongs to a run with another config.
    """
    check_plain(workdir)
    if (workdir / "config.json").exists():
        check_config(workdir, settings, extend)
        _note_resume(workdir)
        return
    begun = {"lock.json", "environment.json"}  # left by a kill at the very start
    check_own(workdir, begun.__contains__, "no run (config.json is missing)")
    write_json(workdir / "environment.json", environment())
    write_json(workdir / "config.json", settings.config)


def check_schema(workdir: Path, config: dict[str, Any]) -> None:
    """Raises RunError where a run cannot go on, since it began with an earlier schema."""
    if config["schema"] != SCHEMA:
        raise RunError(
            f"{workdir} holds a run of schema {config['schema']}, which can be read but not gone "
            f"on with: since then, {changes_since(config['schema'])}; start in another folder"
        )


def extend_config(workdir: Path, settings: Settings) -> None:
    """Writes the higher number of steps of a run that `check_config` has accepted."""
    # Removed first: with the new config and the old summary, the run would count as finished.
    (workdir / "summary.json").unlink(missing_ok=True)
    if read_config(workdir) != settings.config:
        write_json(workdir / "config.json", settings.config)


def check_config(workdir: Path, settings: Settings, extend: bool | None = False) -> None:
    """Raises RunError where the folder belongs to a run with another config or schema.

    Args:
      extend: see `open_workdir`; None where the program has no --extend.
    """
    old = read_config(workdir)
    check_schema(workdir, old)
    differing = differences(old, settings.config)
    if not differing:
        return
    only_steps = list(differing) == ["config.train.steps"]
    follows = (
        settings.experiment.optimizer.decays and not settings.config["optimizer"]["decay_steps"]
    )
    if extend and only_steps and _raised(before := old["train"].get("steps"), settings.steps):
        if follows:
            raise RunError(
                f"{workdir}: --extend cannot go on from a learning rate that was to be 0 at step "
                f"{before}; start a new run, whose rate falls until its own last step"
            )
        return
    if extend:
        raise RunError(
            f"{workdir}: --extend may only raise config.train.steps, "
            f"but {'; '.join(differing.values())}"
        )
    raisable = only_steps and not follows and extend is not None
    hint = " (--extend raises it)" if raisable else ""
    raise RunError(f"{workdir} holds another run: {'; '.join(differing.values())}{hint}")


def differences(old: dict[str, Any], new: dict[str, Any]) -> dict[str, str]:
    """The fields in which a stored config and that of a run differ, with a message each."""
    said = not isinstance(old["task"], dict) or "sha256" in old["task"]
    if not (said or has_file(old)):
        new = without("sha256", new)  # earlier versions took no digest of a package's text
    return _differences(by_content(old), by_content(new))


def _raised(old: Any, new: int) -> bool:
    return isinstance(old, int) and new > old


def _differences(old: Any, new: Any, path: str = "config") -> dict[str, str]:
    """The fields that differ, with a message each; for another cell or task, only its name."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        if path == "config.task" and old.get("name") != new.get("name"):
            names = ["name"]
        if path == "config.model" and old.get("cell") != new.get("cell"):
            section = lambda name: isinstance(old.get(name, new.get(name)), dict)
            names = [name for name in names if not section(name)]
        lines: dict[str, str] = {}
        for name in names:
            lines |= _differences(old.get(name), new.get(name), f"{path}.{name}")
        return lines
    return {} if old == new else {path: f"{path} is {old!r} there and {new!r} here"}


def _note_resume(workdir: Path) -> None:
    """Adds to environment.json what has changed since the start of a resumed run."""
    recorded = read_environment(workdir)
    now = environment()
    resumed = recorded.setdefault("resumed", [])
    if not isinstance(resumed, list):
        raise RunError(f"{workdir / 'environment.json'} is damaged")
    differing = {
        name: value
        for name, value in now.items()
        if name != "command" and recorded.get(name) != value
    }
    if differing and differing not in resumed:
        resumed.append(differing)
        write_json(workdir / "environment.json", recorded)
