"""Estimates how long a run takes, from its amount of work and the speed of this machine."""

import dataclasses
import time

import jax

from experiments.runs.state import start
from experiments.settings.resolution import Settings
from experiments.settings.trials import Trial
from gru_jax import training
from gru_jax.devices import make_mesh, to_devices, use_cpu_cores

CHUNK = 2  # steps that are timed
OVERHEAD = 2_000  # cost of a time step besides its products, roughly, in parameters


def work(settings: Settings) -> float:
    """Passes of one example through one time step, weighted by the model's parameters."""
    experiment = settings.experiment
    # An evaluation is only a forward pass, a third of a training step.
    evaluated = experiment.evaluation_examples / (3 * experiment.chunk)
    examples = settings.steps * (experiment.batch_size + evaluated) * len(settings.seeds)
    return examples * experiment.task.steps * (experiment.parameters + OVERHEAD)


def rate(trials: list[Trial]) -> float:
    """Work per second on all cores, measured on a few steps of the smallest trial."""
    settings = min((trial.settings for trial in trials), key=lambda s: work(s) / s.steps)
    use_cpu_cores(*settings.mesh_sizes)
    mesh = make_mesh(*settings.mesh_sizes)
    experiment = dataclasses.replace(settings.experiment, chunk=CHUNK)
    state = to_devices(start(settings), training.per_seed(mesh))
    data = training.placed_data(experiment, mesh, settings.seeds)
    state, _ = training.train_chunk(experiment, mesh, state, data)  # compiles
    jax.block_until_ready(state)
    began, steps = time.perf_counter(), 0
    while steps < 3 * CHUNK or time.perf_counter() - began < 1:
        state, _ = training.train_chunk(experiment, mesh, state, data)
        jax.block_until_ready(state)
        steps += CHUNK
    seconds = (time.perf_counter() - began) / steps
    return work(dataclasses.replace(settings, steps=1)) / seconds
