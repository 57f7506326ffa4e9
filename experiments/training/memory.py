"""The least memory that a population needs to be trained or evaluated, known before compiling."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from experiments.runs.state import abstract_state
from experiments.settings.resolution import Settings
from experiments.system import memory
from gru_jax import Experiment
from gru_jax.devices import BATCH, SEED
from gru_jax.population import takes_turns
from gru_jax.regularizers import training_draws
from gru_jax.tasks.base import evaluation_batch, training_batch
from gru_jax.tasks.dataset import TEST, VALIDATION


def check_memory(settings: Settings, mesh: Mesh) -> None:
    """Raises RunError, with the estimate, if a device's part of the training cannot fit."""
    states, passes = needed(settings, mesh)
    config = settings.config
    sizes = {
        "task.length": config["task"].get("length"),
        "model.hidden_sizes": config["model"]["hidden_sizes"],
        "population.seeds": len(settings.seeds),
        "train.batch_size": config["train"]["batch_size"],
        "train.evaluation_examples": config["train"]["evaluation_examples"],
    }
    for field in ("window", "pieces"):
        sizes[f"task.{field}"] = config["task"].get(field)
    shown = ", ".join(f"{name} = {size}" for name, size in sizes.items() if size)
    parts = {"the models": states, "their passes over a batch": passes}
    memory.check("config", mesh, parts, f"reduce {shown}")


def check_evaluation(experiment: Experiment, mesh: Mesh, seeds: int, advice: str) -> None:
    """Raises RunError, with the estimate, if a device's part of an evaluation cannot fit.

    Args:
      advice: how to make it smaller.
    """
    share, params = math.ceil(seeds / mesh.shape[SEED]), experiment.abstract_model[1]
    one = _evaluated(experiment, mesh, params)
    parts = {
        "the models": share * memory.size_of(params),
        "their passes over the examples": one if takes_turns(mesh) else share * one,
    }
    memory.check("this evaluation", mesh, parts, advice)


def needed(settings: Settings, mesh: Mesh) -> tuple[int, int]:
    """Bytes on each device: the models with their optimizers, and a pass over a batch.

    A lower bound: it counts gradients and the values that the backward pass reads, or the inputs
    and outputs of an evaluation, but nothing else that the compiled program holds meanwhile.
    """
    experiment = settings.experiment
    task, params = experiment.task, experiment.abstract_model[1]
    seeds = math.ceil(len(settings.seeds) / mesh.shape[SEED])

    def backward(params: Any, indices: Any) -> Any:
        first = jnp.int32(0)
        batch = training_batch(task, first, first, indices, follow=experiment.carry_state)
        drawn = training_draws(experiment.model(params).regularizer, 0, 0, indices)
        outputs = lambda params: experiment.model(params)(batch.inputs, **batch.given, **drawn)
        return jax.vjp(lambda params: task.loss(outputs(params), batch).mean(), params)[1]

    states = memory.size_of(abstract_state(settings)) // len(settings.seeds)
    kept = memory.size_of(jax.eval_shape(backward, params, _share(mesh, experiment.batch_size)))
    splits = (VALIDATION, TEST)
    evaluated = max(_evaluated(experiment.judged_on(split), mesh, params) for split in splits)
    one = max(memory.size_of(params) + kept, evaluated)
    if seeds > 1 and takes_turns(mesh):
        return seeds * states, one + seeds * states  # seeds that had their turn are stored
    return seeds * states, seeds * one


def _evaluated(experiment: Experiment, mesh: Mesh, params: Any) -> int:
    """Bytes of the inputs and outputs of one model's pass over the examples of an evaluation."""

    def forward(params: Any, indices: Any) -> Any:
        batch = evaluation_batch(experiment.task, indices)
        return batch, experiment.model(params)(batch.inputs, **batch.given)

    indices = _share(mesh, experiment.evaluation_examples)
    return memory.size_of(jax.eval_shape(forward, params, indices))


def _share(mesh: Mesh, size: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((size // mesh.shape[BATCH],), "int32")
