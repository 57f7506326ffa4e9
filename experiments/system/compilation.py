"""Compiled programs are kept on disk, so that the same command starts sooner the next time.

JAX's persistent compilation cache, with a folder, a bound on its size, and a way out of entries
that a kill has left half written: JAX would warn about one at every start and never replace it.
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

SIZE = 2**30  # bytes; of more, the oldest entries go
SECONDS = 0.2  # programs that compile faster are not worth a file
FAILED = re.compile(r"Error (?:reading|writing) persistent compilation cache entry for '(\w+)")


def use_cache() -> None:
    """Keeps compiled programs below ~/.cache, or where JAX_COMPILATION_CACHE_DIR says.

    JAX_ENABLE_COMPILATION_CACHE=false turns it off. Without a folder to write to there is none.
    """
    config: Any = jax.config
    if not config.jax_enable_compilation_cache:
        return
    given = config.jax_compilation_cache_dir
    if given and "://" in given:
        return  # JAX's own affair
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = Path(given) if given else home / "gru_jax" / f"xla-{_processor()}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):  # RuntimeError: nobody's home
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
    """Names this kind of processor: a home folder may serve several, and code is made for one."""
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
