"""What a result may depend on beside its config: the machine, the versions and the commit."""

import importlib.metadata
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "ml-collections", "numpy", "safetensors")


def environment() -> dict[str, Any]:
    """What a result may depend on besides its config."""
    device = jax.devices()[0]
    return {
        "command": command(),
        "commit": _git("rev-parse", "HEAD"),
        "modified": bool(
            _git("status", "--porcelain", "--untracked-files=no", "--", ":(top,exclude)results")
        ),
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "processor": _processor(),
        "device": device.device_kind,
        "devices": jax.device_count(),
        "processes": jax.process_count(),
        # Of float32 products; None: the device's own.
        "precision": jax.config.values["jax_default_matmul_precision"],
    }


def command() -> str:
    """The command as it was typed."""
    program, *arguments = sys.orig_argv
    return shlex.join([Path(program).name, *arguments])


def _processor() -> str:
    """The CPU's model: XLA compiles for it, so bits may depend on it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _git(*command: str) -> str | None:
    """The output of git in the folder of this code; None if git is missing or fails."""
    git = shutil.which("git")
    if git is None:
        return None
    found = subprocess.run(
        [git, *command], capture_output=True, text=True, cwd=Path(__file__).parent, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None
