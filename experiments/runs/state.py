"""A population as a run begins with it, and as the arrays by name that a checkpoint holds."""

import functools
from typing import Any

import jax

from experiments.runs.checkpoints import Arrays
from experiments.settings.resolution import Settings
from gru_jax import training
from gru_jax.devices import one_device


def start(settings: Settings) -> training.TrainState:
    """The population before training, on one device of this process."""
    return _start(settings.experiment, *_seeds(settings))


def abstract_state(settings: Settings) -> training.TrainState:
    """The shapes of the run's state."""
    return _abstract(settings.experiment, *_seeds(settings))


def _start(experiment: training.Experiment, *seeds: Any) -> training.TrainState:
    return training.init(experiment, one_device(), *seeds)


@functools.lru_cache(maxsize=64)
def _abstract(experiment: training.Experiment, *seeds: Any) -> training.TrainState:
    return jax.eval_shape(functools.partial(_start, experiment, *seeds))


def _seeds(settings: Settings) -> tuple[Any, ...]:
    return settings.seeds, settings.learning_rates, settings.clip_norms


def flat(state: Any) -> dict[str, Any]:
    """The state's arrays by path, a format that does not depend on our classes."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(state)}


def unflat(arrays: Arrays, abstract: training.TrainState) -> training.TrainState:
    """The inverse of `flat`."""
    return jax.tree.map_with_path(lambda path, _: arrays[jax.tree_util.keystr(path)], abstract)
