"""The mesh: seeds x batch over whatever devices there are."""

import math
import os

import jax
from jax.sharding import AxisType, Mesh

SEED, BATCH = "seed", "batch"
THREADS_PER_DEVICE = 8


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


def use_cpu_cores(seeds: int, batch: int, cores: int = 0) -> None:
    """Makes the cores of this machine's CPU JAX's CPU devices; call it before any JAX work.

    One core a device, each with its own part of the population, is faster for the small
    products of a recurrence than all cores on one product: see docs/log.md.

    Args:
      seeds, batch: the sizes that the mesh will have to divide.
      cores: how many to use; 0 takes the number, among those available, that the mesh
        uses best.
    """
    if not cores:
        useful = lambda n: math.prod(mesh_shape(n, seeds, batch))
        cores = max(range(1, _available_cores() + 1), key=lambda n: (useful(n), -n))
    jax.config.update("jax_num_cpu_devices", cores)
    # XLA sizes its thread pool by NPROC, else by the number of cores. Every device blocks a
    # thread for each loop that it is inside; with no thread left the program waits for ever.
    os.environ["NPROC"] = str(max(_available_cores(), THREADS_PER_DEVICE * cores))
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()


def _available_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
