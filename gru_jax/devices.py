"""The mesh: seeds x batch over whatever devices there are."""

import math
import os
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding

SEED, BATCH = "seed", "batch"


def mesh_shape(devices: int, seeds: int, batch: int) -> tuple[int, int]:
    """Devices along (seed, batch): seeds first, the batch over what remains.

    >>> mesh_shape(devices=2, seeds=8, batch=64)
    (2, 1)
    >>> mesh_shape(devices=8, seeds=2, batch=64)
    (2, 4)
    """
    along_seeds = math.gcd(devices, seeds)
    return along_seeds, math.gcd(devices // along_seeds, batch)


def make_mesh(seeds: int, batch: int) -> Mesh:
    """The mesh over JAX's devices, or over as many of them as divide the work evenly."""
    shape = mesh_shape(jax.device_count(), seeds, batch)
    devices = jax.devices()[: math.prod(shape)]
    return jax.make_mesh(shape, (SEED, BATCH), (AxisType.Auto, AxisType.Auto), devices=devices)


def one_device() -> Mesh:
    """The mesh of one device of this process: where there is nothing to divide."""
    axes = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((1, 1), (SEED, BATCH), axes, devices=jax.local_devices()[:1])


def to_host(tree: Any) -> Any:
    """NumPy arrays of what is laid over the mesh: all of it, on every process."""
    return multihost_utils.process_allgather(tree, tiled=True)


def to_devices(tree: Any, sharding: NamedSharding) -> Any:
    """`to_host` undone: every process hands over the same NumPy arrays."""
    place = lambda array: jax.make_array_from_callback(
        array.shape, sharding, lambda index: np.asarray(array[index])
    )
    return jax.tree.map(place, tree)


def from_first_process(data: bytes | None) -> bytes | None:
    """What process 0 holds, on every process; the others' own `data` is not looked at."""
    if jax.process_count() == 1:
        return data
    broadcast = multihost_utils.broadcast_one_to_all
    # Two numbers of 32 bits, since JAX has none of 64 by default.
    high, low = broadcast(np.array(divmod(-1 if data is None else len(data), 2**30), np.int32))
    size = int(high) * 2**30 + int(low)
    if size < 0:
        return None
    whole = np.zeros(size, np.uint8)
    if jax.process_index() == 0 and data is not None:
        whole[:] = np.frombuffer(data, np.uint8)
    return broadcast(whole).tobytes()


def use_cpu_cores(seeds: int, batch: int, cores: int = 0, processes: int = 1) -> None:
    """Makes the cores of this machine's CPU JAX's CPU devices; call it before any JAX work.

    One core a device, each with its own part of the population, is faster for the small
    products of a recurrence than all cores on one product: see docs/log.md.

    Args:
      seeds, batch: the sizes that the mesh will have to divide.
      cores: how many to use; 0 takes the number, among those available, that the mesh
        uses best.
      processes: how many processes share the mesh, each with as many cores.
    """
    if not cores:
        useful = lambda n: math.prod(mesh_shape(n * processes, seeds, batch))
        cores = max(range(1, _available_cores() + 1), key=lambda n: (useful(n), -n))
    jax.config.update("jax_num_cpu_devices", cores)
    # XLA sizes its thread pool by NPROC, else by the number of cores, and divides a product over
    # all of its threads. More than one a device is slower: see docs/log.md.
    os.environ["NPROC"] = str(cores)
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
