"""The mesh: how a population (seeds x batch) is laid over the devices."""

import math
import os
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

SEED, BATCH = "seed", "batch"


def mesh_shape(devices: int, seeds: int, batch: int) -> tuple[int, int]:
    """The numbers of devices along the seed axis and along the batch axis.

    Seeds are divided first, over as many devices as divide them evenly; each seed's batch is then
    divided over the devices that remain.

    >>> mesh_shape(devices=2, seeds=8, batch=64)
    (2, 1)
    >>> mesh_shape(devices=8, seeds=2, batch=64)
    (2, 4)
    """
    along_seeds = math.gcd(devices, seeds)
    return along_seeds, math.gcd(devices // along_seeds, batch)


def make_mesh(seeds: int, batch: int) -> Mesh:
    """The mesh over JAX's devices, or over the first of them if not all divide the work evenly."""
    shape = mesh_shape(jax.device_count(), seeds, batch)
    devices = jax.devices()[: math.prod(shape)]
    return jax.make_mesh(shape, (SEED, BATCH), (AxisType.Auto, AxisType.Auto), devices=devices)


def one_device() -> Mesh:
    """The mesh of a single device of this process, for work that is not divided."""
    axes = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((1, 1), (SEED, BATCH), axes, devices=jax.local_devices()[:1])


def to_host(tree: Any) -> Any:
    """Gathers arrays that are laid over the mesh to whole NumPy arrays, on every process."""
    return multihost_utils.process_allgather(tree, tiled=True)


def to_devices(tree: Any, sharding: NamedSharding) -> Any:
    """The inverse of `to_host`. Every process must pass the same NumPy arrays."""
    place = lambda array: jax.make_array_from_callback(
        array.shape, sharding, lambda index: np.asarray(array[index])
    )
    return jax.tree.map(place, tree)


def from_first_process(data: bytes | None) -> bytes | None:
    """Broadcasts the `data` of process 0 to every process; that of the others is ignored."""
    if jax.process_count() == 1:
        return data
    broadcast = multihost_utils.broadcast_one_to_all
    # The size as two numbers of 32 bits, since JAX has no 64-bit numbers by default.
    high, low = broadcast(np.array(divmod(-1 if data is None else len(data), 2**30), np.int32))
    size = int(high) * 2**30 + int(low)
    if size < 0:
        return None
    whole = np.zeros(size, np.uint8)
    if jax.process_index() == 0 and data is not None:
        whole[:] = np.frombuffer(data, np.uint8)
    return broadcast(whole).tobytes()


def use_cpu_cores(seeds: int, batch: int, cores: int = 0, processes: int = 1) -> None:
    """Makes each core of the CPU a JAX device. Call it before JAX computes anything.

    The matrix products of a recurrence are small. Cores that each compute their own part of the
    population are faster than cores that share every product: see docs/log.md.

    Args:
      seeds, batch: the sizes that the mesh will have to divide.
      cores: the number of cores to use; 0 for the number, up to all that are available, of which
        the mesh can use the most.
      processes: the number of processes that share the mesh, each with as many cores.
    """
    if not cores:
        useful = lambda n: math.prod(mesh_shape(n * processes, seeds, batch))
        cores = max(range(1, _available_cores() + 1), key=lambda n: (useful(n), -n))
    jax.config.update("jax_num_cpu_devices", cores)
    # XLA takes the size of its thread pool from NPROC, else from the number of cores, and divides
    # each product over all threads. More than one thread for each device is slower: see
    # docs/log.md.
    os.environ["NPROC"] = str(cores)
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
