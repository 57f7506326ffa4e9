"""A run read back from disk: its trained models and all that is known of it."""

import dataclasses
import functools
import os
from pathlib import Path
from typing import Any

import jax

from experiments.runs.checkpoints import Checkpoints, decode
from experiments.runs.records import read_config, read_metrics, read_summary
from experiments.runs.state import abstract_state, flat, unflat
from experiments.settings.resolution import Settings, resolve
from experiments.system.files import RunError, at_home
from gru_jax import SequenceModel, Task, training
from gru_jax.devices import make_mesh, to_devices


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


def load(workdir: str | os.PathLike[str], data: str | os.PathLike[str] | None = None) -> Run:
    """A run's trained models, task, settings, metrics and summary, in one call.

    A cell or task of your own has to be registered first: import the module that does so.

    Args:
      data: where the run's data file lies now; where it lay at the last training by default.

    Raises:
      RunError: the folder holds no run, or none of its checkpoints can be used.
      FieldError: its config has a value that is not allowed, or an unregistered cell or task; or
        its data file is missing or another one.
    """
    path = at_home(workdir)
    return restored(path, resolve(read_config(path, [os.fspath(data)] if data else [])))


def restored(path: Path, settings: Settings) -> Run:
    """As `load`, where the settings have been read already."""
    abstract = abstract_state(settings)
    data = Checkpoints(path / "checkpoints").newest(flat(abstract))
    if data is None:
        raise RunError(f"{path}: no checkpoint yet")
    arrays, _ = decode(data, flat(abstract))
    sharding = training.per_seed(make_mesh(*settings.mesh_sizes))
    state = to_devices(unflat(arrays, abstract), sharding)
    return Run(path, settings, state, read_summary(path))
