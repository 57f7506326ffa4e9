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
