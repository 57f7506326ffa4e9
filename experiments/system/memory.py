"""How much memory there is, work that is refused because it needs more, and releasing memory."""

import ctypes
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import jax
from jax.sharding import Mesh

from experiments.system.files import RunError

GIB = 2**30
# Of processes that share an accelerator, of whose memory JAX would take three quarters for each.
SHARED = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
# Files of accelerators: of NVIDIA, AMD and Google, by the packages through which JAX takes them.
DEVICES = {"jax_plugins": ("/dev/nvidia0", "/dev/kfd"), "libtpu": ("/dev/accel0", "/dev/vfio/0")}
TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None)
GROUPS, MOUNTED = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def accelerated() -> bool:
    """Whether JAX would find an accelerator, of which this process is to take no memory."""
    if os.environ.get("JAX_PLATFORMS", "").startswith("cpu"):
        return False
    return any(
        importlib.util.find_spec(package) and any(map(os.path.exists, files))
        for package, files in DEVICES.items()
    )


def check(work: str, mesh: Mesh, parts: dict[str, int], advice: str) -> None:
    """Refuses work that cannot fit into memory.

    Args:
      work: what needs the memory.
      parts: the bytes that it needs on each device, by what for.
      advice: what to do, with the flags or fields of who asked for the work.

    Raises:
      RunError: there is less; with the estimate.
    """
    needed, there = sum(parts.values()), available(mesh)
    if needed <= there:
        return
    each = " and ".join(f"{_gib(size)} for {what}" for what, size in parts.items())
    raise RunError(
        f"{work} needs at least {_gib(needed)} of memory per device ({each}), and there are "
        f"{_gib(there)}: {advice}"
    )


def size_of(tree: Any) -> int:
    """The bytes of the arrays of a tree, or of their shapes."""
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


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


def _gib(size: int) -> str:
    return f"{size / GIB:.3g} GiB"
