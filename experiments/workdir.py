"""The folder of a run on disk, and how to read it back.

WORKDIR/config.json        the resolved config: every field, and the version of its schema
        environment.json   versions, git commit, devices, command line
        metrics.jsonl      {"step", "split", "seed", metrics...}; without timings, so that
                           equal runs have equal files
        events.out.tfevents.*  derived from metrics.jsonl
        checkpoints/       one folder per step: see checkpoints.py
        lock.json          the host and number of the process that writes here, if any
        summary.json       how it ended
        curves.png
"""

import dataclasses
import functools
import importlib.metadata
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

from experiments.checkpoints import Arrays, Checkpoints, decode
from experiments.files import RunError, check_plain, read_json, write_json
from experiments.schema import complete
from experiments.settings import Settings, resolve
from gru_jax import SequenceModel, Task, training
from gru_jax.devices import make_mesh, one_device, to_devices

PACKAGES = ("jax", "jaxlib", "flax", "optax", "ml-collections", "numpy", "safetensors")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run read back from disk: see `load`.

    state: the whole population, with a leading seed axis on every array.
    summary: how the run ended; None if it has not ended.
    """

    workdir: Path
    settings: Settings
    state: training.TrainState
    summary: dict[str, Any] | None

    @property
    def task(self) -> Task:
        return self.settings.experiment.task

    @functools.cached_property
    def models(self) -> list[SequenceModel]:
        """The trained models, one per seed."""
        member = lambda index: jax.tree.map(lambda a: a[index], self.state.final)
        seeds = range(len(self.settings.seeds))
        return [self.settings.experiment.model(member(index)) for index in seeds]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read_metrics(self.workdir)


def load(workdir: str | os.PathLike[str]) -> Run:
    """A run's trained models, task, settings, metrics and summary, in one call.

    A cell or task of your own has to be registered first: import the module that does so.

    Raises:
      RunError: the folder holds no run, or none of its checkpoints can be used.
      FieldError: its config has a value that is not allowed, or an unregistered cell or task.
    """
    path = Path(workdir)
    check_plain(path)
    settings = resolve(read_config(path))
    abstract = abstract_state(settings)
    data = Checkpoints(path / "checkpoints").newest(flat(abstract))
    if data is None:
        raise RunError(f"{path}: no checkpoint yet")
    arrays, _ = decode(data, flat(abstract))
    sharding = training.per_seed(make_mesh(*settings.mesh_sizes))
    state = to_devices(unflat(arrays, abstract), sharding)
    return Run(path, settings, state, read_summary(path))


def start(settings: Settings) -> training.TrainState:
    """The population before training, on one device of this process."""
    return training.init(
        settings.experiment,
        one_device(),
        settings.seeds,
        settings.learning_rates,
        settings.clip_norms,
    )


def abstract_state(settings: Settings) -> training.TrainState:
    """The shapes of the run's state."""
    return jax.eval_shape(functools.partial(start, settings))


def flat(state: Any) -> dict[str, Any]:
    """The state's arrays by path, a format that does not depend on our classes."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def unflat(arrays: Arrays, abstract: training.TrainState) -> training.TrainState:
    """The inverse of `flat`."""
    return jax.tree.map_with_path(lambda path, _: arrays[jax.tree_util.keystr(path)], abstract)


def open_workdir(workdir: Path, settings: Settings, extend: bool = False) -> None:
    """Writes what identifies the run; if that exists, checks that it is the same run.

    Args:
      extend: allow a higher number of steps than before.

    Raises:
      RunError: the folder belongs to a run with another config.
    """
    check_plain(workdir)
    if (workdir / "config.json").exists():
        check_config(workdir, settings, extend)
        _note_resume(workdir)
        return
    begun = {"lock.json", "environment.json"}  # left by a kill at the very start
    for path in workdir.iterdir():
        if path.name not in begun and path.suffix != ".partial":
            raise RunError(f"{workdir} holds {path.name!r}, but no run (config.json is missing)")
    write_json(workdir / "environment.json", environment())
    write_json(workdir / "config.json", settings.config)


def extend_config(workdir: Path, settings: Settings) -> None:
    """Writes the higher number of steps of a run that `check_config` has accepted."""
    # Removed first: with the new config and the old summary, the run would count as finished.
    (workdir / "summary.json").unlink(missing_ok=True)
    if read_config(workdir) != settings.config:
        write_json(workdir / "config.json", settings.config)


def check_config(workdir: Path, settings: Settings, extend: bool = False) -> None:
    """Raises RunError if the folder belongs to a run with another config."""
    old = read_config(workdir)
    differing = _differences(old, settings.config)
    if not differing:
        return
    only_steps = list(differing) == ["config.train.steps"]
    if extend and only_steps and _raised(old["train"].get("steps"), settings.steps):
        return
    if extend:
        raise RunError(
            f"{workdir}: --extend may only raise config.train.steps, "
            f"but {'; '.join(differing.values())}"
        )
    hint = " (--extend raises it)" if only_steps else ""
    raise RunError(f"{workdir} holds another run: {'; '.join(differing.values())}{hint}")


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


def environment() -> dict[str, Any]:
    """What a result may depend on besides its config."""
    device = jax.devices()[0]
    return {
        "command": command(),
        "commit": _git("rev-parse", "HEAD"),
        "modified": bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)results")
        ),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device.device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
    }


def command() -> str:
    """The command as it was typed."""
    program, *arguments = sys.orig_argv
    return shlex.join([Path(program).name, *arguments])


def _processor() -> str:
    """The CPU's model: XLA compiles for it, so bits may depend on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git(*command: str) -> str | None:
    """The output of git in the folder of this code; None if git is missing or fails."""
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run(
        [git, *command], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


def read_config(workdir: Path) -> dict[str, Any]:
    """A run's config, with fields that were added later at their defaults."""
    return complete(read_json(workdir / "config.json", f"{workdir} holds no run"))


def read_environment(workdir: Path) -> dict[str, Any]:
    return read_json(workdir / "environment.json", f"{workdir} holds no run")


def read_summary(workdir: Path) -> dict[str, Any] | None:
    path = workdir / "summary.json"
    if not path.exists():
        return None
    summary = read_json(path, "")
    if not _sound(summary):
        raise RunError(f"{path} is damaged: delete it, and the same command ends the run again")
    return summary


def _sound(summary: dict[str, Any]) -> bool:
    """Whether it holds everything that is read from it: anyone may have written it."""
    listed = lambda found, kind: (
        isinstance(found, list) and all(isinstance(value, kind | None) for value in found)
    )
    numbers = ("step", "wall_seconds", "parameters", "baseline_loss")
    lists = ("seeds", "solved_step", "diverged_step")
    measured = summary.get("eval")
    return (
        isinstance(summary.get("status"), str)
        and all(isinstance(summary.get(name), int | float) for name in numbers)
        and all(listed(summary.get(name), int) for name in lists)
        and isinstance(measured, dict)
        and all(
            isinstance(f, dict) and listed(f.get("per_seed"), int | float)
            for f in measured.values()
        )
    )


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
