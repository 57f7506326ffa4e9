"""Compiled programs are kept on disk, so that the same command starts sooner the next time.

This sets up JAX's persistent compilation cache: it chooses the folder, limits its size, and removes
entries that a kill left half written. JAX would warn about these at every start and never replace
them.
"""

import contextlib
import hashlib
import os
import platform
import re
import warnings
from pathlib import Path
from typing import Any

import jax

SIZE = 2**30  # bytes; the oldest entries beyond it are removed
SECONDS = 0.2  # programs that compile faster are not worth a file
FAILED = re.compile(r"Error (?:reading|writing) persistent compilation cache entry for '(\w+)")


def use_cache() -> None:
    """Keeps compiled programs below ~/.cache, or where JAX_COMPILATION_CACHE_DIR says.

    JAX_ENABLE_COMPILATION_CACHE=false turns it off. Without a writable folder there is no cache.
    """
    config: Any = jax.config
    if not config.jax_enable_compilation_cache:
        return
    given = config.jax_compilation_cache_dir
    if given and "://" in given:
        return  # a cloud address: left to JAX
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(given) if given else home / "gru_jax" / f"xla-{_processor()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return
    if not given:
        _prune(folder)
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", SECONDS)
    show = warnings.showwarning

    def showwarning(message: Any, *where: Any, **more: Any) -> None:
        found = FAILED.match(str(message))
        if found is None:
            show(message, *where, **more)
            return
        for path in folder.glob(f"{found[1]}*"):
            _remove(path)

    warnings.showwarning = showwarning


def _processor() -> str:
    """A name for this kind of processor: code is compiled for one, a home folder may serve more."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    kind = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    told = "".join([platform.machine(), platform.processor(), *sorted(kind)])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _prune(folder: Path) -> None:
    with contextlib.suppress(OSError):  # another process may be doing the same
        found = sorted(
            (path.stat().st_mtime, path.stat().st_size, path) for path in folder.iterdir()
        )
        over = sum(size for _, size, _ in found) - SIZE
        for _, size, path in found:
            if over <= 0:
                return
            _remove(path)
            over -= size


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
