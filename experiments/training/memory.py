"""The least memory that a population needs, known before compiling; and releasing memory."""

import ctypes
import math
import os
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from experiments.runs.state import abstract_state
from experiments.settings.resolution import Settings
from experiments.system.files import RunError
from gru_jax.devices import BATCH, SEED
from gru_jax.population import takes_turns
from gru_jax.regularizers import training_draws
from gru_jax.tasks.base import evaluation_batch, training_batch

GIB = 2**30
TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
GROUPS, MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def check_memory(settings: Settings, mesh: Mesh) -> None:
    """Raises RunError, with the estimate, if a device's part cannot fit into memory."""
    states, passes = needed(settings, mesh)
    there = available(mesh)
    if states + passes <= there:
        return
    config = settings.config
    sizes = {
        "task.length": config["task"].get("length"),
        "model.hidden_sizes": config["model"]["hidden_sizes"],
        "population.seeds": len(settings.seeds),
        "train.batch_size": config["train"]["batch_size"],
        "train.evaluation_examples": config["train"]["evaluation_examples"],
    }
    raise RunError(
        f"config needs at least {_gib(states + passes)} of memory per device ({_gib(states)} for "
        f"the models, {_gib(passes)} for their passes over a batch), and there are "
        f"{_gib(there)}: reduce {', '.join(f'{name} = {size}' for name, size in sizes.items())}"
    )


def needed(settings: Settings, mesh: Mesh) -> tuple[int, int]:
    """Bytes on each device: the models with their optimizers, and a pass over a batch.

    A lower bound: it counts gradients and the values that the backward pass reads, or the inputs
    and outputs of an evaluation, but nothing else that the compiled program holds meanwhile.
    """
    experiment = settings.experiment
    task, params = experiment.task, experiment.abstract_model[1]
    seeds = math.ceil(len(settings.seeds) / mesh.shape[SEED])
    share = lambda size: jax.ShapeDtypeStruct((size // mesh.shape[BATCH],), "int32")

    def backward(params: Any, indices: Any) -> Any:
        first = jnp.int32(0)
        batch = training_batch(task, first, first, indices, follow=experiment.carry_state)
        drawn = training_draws(experiment.model(params).regularizer, 0, 0, indices)
        outputs = lambda params: experiment.model(params)(batch.inputs, **batch.given, **drawn)
        return jax.vjp(lambda params: task.loss(outputs(params), batch).mean(), params)[1]

    def forward(params: Any, indices: Any) -> Any:
        batch = evaluation_batch(task, indices)
        return batch, experiment.model(params)(batch.inputs, **batch.given)

    states = _bytes(abstract_state(settings)) // len(settings.seeds)
    kept = _bytes(jax.eval_shape(backward, params, share(experiment.batch_size)))
    evaluated = _bytes(jax.eval_shape(forward, params, share(experiment.evaluation_examples)))
    one = max(_bytes(params) + kept, evaluated)
    if seeds > 1 and takes_turns(mesh):
        return seeds * states, one + seeds * states  # seeds that had their turn are stored
    return seeds * states, seeds * one


def available(mesh: Mesh) -> int:
    """Bytes of memory available to each of the mesh's local devices."""
    device = mesh.local_devices[0]
    if device.platform == "cpu":
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return min([whole, *_limits()]) // len(mesh.local_devices)
    return int((device.memory_stats() or {}).get("bytes_limit", sys.maxsize))


def _limits() -> list[int]:
    """Linux's memory limits for the control groups of this process, such as a Slurm job."""
    if not GROUPS.exists():
        return []
    files = []
    for line in GROUPS.read_text().splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2
            root, name = MOUNTED, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = MOUNTED / "memory", "memory.limit_in_bytes"
        else:
            continue
        place = root / group.lstrip("/")
        files += [
            folder / name for folder in (place, *place.parents) if folder.is_relative_to(root)
        ]
    texts = [file.read_text().strip() for file in files if file.exists()]
    return [int(text) for text in texts if text.isdecimal()]


def release() -> None:
    """Returns free memory to the system, which glibc would otherwise keep.

    Compilation frees most of its memory, and later each thread's heap fragments; see docs/log.md.
    This takes milliseconds.
    """
    if TRIM:
        TRIM(0)


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
