"""What a run leaves on disk, and how it is read back.

WORKDIR/config.json        the resolved config
        environment.json   versions, git commit, devices, command line
        metrics.jsonl      {"step", "split", "seed", metrics...}; no timings: equal runs
                           have equal files
        events.out.tfevents.*  derived from metrics.jsonl
        checkpoints/       one folder a step, with the SHA-256 digests of its files
        summary.json       how it ended
        curves.png
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from jax.sharding import Mesh

from experiments.settings import Settings, resolve
from gru_jax import SequenceModel, Task, training
from gru_jax.devices import make_mesh

DIGESTS = "digests.json"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "ml-collections", "numpy")


class RunError(Exception):
    """A run's folder cannot be used as asked. Its text is one line."""


@dataclasses.dataclass(frozen=True)
class Run:
    """A run read back from disk: see `load`.

    state: the whole population; every array has a leading seed axis.
    summary: how the run ended; None if it has not.
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
        """The trained models, one a seed."""
        member = lambda index: jax.tree.map(lambda a: a[index], self.state.params)
        seeds = range(len(self.settings.seeds))
        return [self.settings.experiment.model(member(index)) for index in seeds]

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        return read_metrics(self.workdir)


def load(workdir: str | os.PathLike[str]) -> Run:
    """A run's trained models, task, settings, metrics and summary, in one call.

    Raises:
      RunError: the folder holds no run, or none of its checkpoints can be used.
      FieldError: its config holds what is not allowed.
    """
    path = Path(workdir)
    settings = resolve(read_config(path))
    mesh = make_mesh(*settings.mesh_sizes)
    checkpoints = Checkpoints(path, read_only=True)
    try:
        restored = checkpoints.restore(abstract_state(settings, mesh))
    finally:
        checkpoints.close()
    if restored is None:
        raise RunError(f"{path}: no checkpoint yet")
    return Run(path, settings, restored[0], read_summary(path))


def abstract_state(settings: Settings, mesh: Mesh) -> training.TrainState:
    """The shapes of the run's state and how they are laid over the mesh."""
    start = functools.partial(
        training.init,
        settings.experiment,
        mesh,
        settings.seeds,
        settings.learning_rates,
        settings.clip_norms,
    )
    sharding = training.per_seed(mesh)
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        jax.eval_shape(start),
    )


class Checkpoints:
    """Checkpoints that are verified before they are trusted.

    Orbax restores a flipped bit without a word, so every file's digest is kept beside it.
    """

    def __init__(self, workdir: Path, read_only: bool = False):
        # Orbax needs an absolute path.
        self.folder = (workdir / "checkpoints").absolute()
        if read_only and not self.folder.is_dir():
            raise RunError(f"{workdir}: no checkpoint yet")
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None if read_only else 2, create=not read_only, read_only=read_only
        )
        self._manager = ocp.CheckpointManager(self.folder, options=options)

    def save(self, step: int, state: training.TrainState, progress: dict[str, Any]) -> None:
        """Keeps the state; `progress` is small data that no result depends on."""
        items = ocp.args.Composite(
            state=ocp.args.StandardSave(_flat(state)), progress=ocp.args.JsonSave(progress)
        )
        if step in self._manager.all_steps():  # damaged or unfinished, or it would be in use
            self._manager.delete(step)
        self._manager.save(step, args=items, force=True)
        self._manager.wait_until_finished()
        folder = self.folder / str(step)
        write_json(folder / DIGESTS, _digests(folder))

    def restore(
        self, abstract: training.TrainState
    ) -> tuple[training.TrainState, dict[str, Any]] | None:
        """The newest sound checkpoint's state and progress; None where there is none at all.

        Raises:
          RunError: there are checkpoints, and not one of them is sound.
        """
        found = sorted(self._manager.all_steps(), reverse=True)
        # Digests are written last: a checkpoint without them was never finished.
        steps = [step for step in found if (self.folder / str(step) / DIGESTS).exists()]
        for step in steps:
            folder = self.folder / str(step)
            if not _sound(folder):
                print(f"checkpoint {folder} is damaged: trying the one before", file=sys.stderr)
                continue
            items = ocp.args.Composite(
                state=ocp.args.StandardRestore(_flat(abstract)), progress=ocp.args.JsonRestore()
            )
            restored = self._manager.restore(step, args=items)
            return _unflat(abstract, restored["state"]), restored["progress"]
        if steps:
            raise RunError(f"{self.folder}: no usable checkpoint among {len(steps)}")
        return None

    def close(self) -> None:
        self._manager.close()


def _flat(state: training.TrainState) -> dict[str, Any]:
    """The state's arrays by path: a format that outlives the classes."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def _unflat(abstract: training.TrainState, flat: dict[str, Any]) -> training.TrainState:
    return jax.tree.map_with_path(lambda path, _: flat[jax.tree_util.keystr(path)], abstract)


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != DIGESTS)
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _sound(folder: Path) -> bool:
    try:
        return bool(json.loads((folder / DIGESTS).read_text()) == _digests(folder))
    except (OSError, ValueError):
        return False


def open_workdir(workdir: Path, settings: Settings) -> None:
    """Makes the folder and writes what identifies the run; an equal run's folder is kept.

    Raises:
      RunError: the folder belongs to a run with another config.
    """
    if (workdir / "config.json").exists():
        differing = _differences(read_config(workdir), settings.config)
        if differing:
            raise RunError(f"{workdir} holds another run: {'; '.join(differing[:3])}")
        return
    workdir.mkdir(parents=True, exist_ok=True)
    write_json(workdir / "environment.json", environment())
    write_json(workdir / "config.json", settings.config)


def _differences(old: Any, new: Any, path: str = "config") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted(old.keys() | new.keys())
        return [
            line
            for name in names
            for line in _differences(old.get(name), new.get(name), f"{path}.{name}")
        ]
    return [] if old == new else [f"{path} is {old!r} there and {new!r} here"]


def environment() -> dict[str, Any]:
    """What a result may depend on beside its config."""
    device = jax.devices()[0]
    return {
        "command": " ".join(sys.orig_argv),
        "commit": _git("rev-parse", "HEAD"),
        "modified": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "device": device.device_kind,
        "devices": jax.device_count(),
    }


def _git(*command: str) -> str | None:
    """What git says of the folder that this code lies in; None where it says nothing."""
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run(
        [git, *command], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


def read_config(workdir: Path) -> dict[str, Any]:
    return _read_json(workdir / "config.json", f"{workdir} holds no run")


def read_summary(workdir: Path) -> dict[str, Any] | None:
    path = workdir / "summary.json"
    return _read_json(path, "") if path.exists() else None


def _read_json(path: Path, otherwise: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except OSError as error:
        raise RunError(f"{otherwise} ({path.name}: {error.strerror})") from None
    except (ValueError, TypeError):
        raise RunError(f"{path} is not valid JSON") from None


def read_metrics(workdir: Path) -> list[dict[str, Any]]:
    """The complete lines of metrics.jsonl (a kill can leave a broken last one)."""
    path = workdir / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def write_json(path: Path, content: Any) -> None:
    """Writes the whole file or nothing."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
