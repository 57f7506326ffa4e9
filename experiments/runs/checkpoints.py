"""Checkpoints that are whole or absent, and verified before they are trusted.

CHECKPOINTS/STEP/state.safetensors   arrays by name, and the progress in its header
                 SHA256SUMS          the digest of the file beside it

A folder gets its name STEP by a single rename, once everything in it is on disk. The state is one
file of plain numbers, so reading it runs no code.
"""

import hashlib
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors
import safetensors.numpy

from experiments.system.files import RunError, synchronise, write_bytes
from gru_jax import fields

STATE, DIGESTS = "state.safetensors", "SHA256SUMS"

Shapes = dict[str, jax.ShapeDtypeStruct]
Arrays = dict[str, np.ndarray]
Progress = dict[str, Any]


class Checkpoints:
    """The checkpoints of one run. `kept`: how many of the newest are kept."""

    def __init__(self, folder: Path, kept: int = 2):
        self.folder, self.kept = folder, kept

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, valid or not, newest first."""
        if not self.folder.is_dir():
            return []
        names = [path.name for path in self.folder.iterdir()]
        numbers = [int(name) for name in names if name.isascii() and name.isdecimal()]
        return sorted((number for number in numbers if str(number) in names), reverse=True)

    def save(self, step: int, data: bytes) -> None:
        """Writes what `encode` made; removes checkpoints beyond `kept`, and of later steps."""
        if not self.folder.exists():
            self.folder.mkdir()
            synchronise(self.folder.parent)
        self.tidy()
        partial = self.folder / f"{step}.partial"
        partial.mkdir()
        write_bytes(partial / STATE, data)
        write_bytes(partial / DIGESTS, _digests(data))
        # Later ones were not usable when the run was resumed. It writes them again.
        for old in [kept for kept in self.steps() if kept >= step]:
            self._remove(old)
        partial.rename(self.folder / str(step))
        synchronise(self.folder)
        self.tidy()

    def tidy(self) -> None:
        """Removes checkpoints beyond the newest `kept`, and what a kill left unfinished."""
        for old in self.steps()[self.kept :]:
            self._remove(old)
        for leftover in self.folder.glob("*.partial"):
            shutil.rmtree(leftover)

    def newest(self, shapes: Shapes, lines: float = math.inf) -> bytes | None:
        """The newest valid checkpoint, for `decode`; None if there is none at all.

        Args:
          shapes: the arrays that it must hold.
          lines: how many lines of metrics there are; a checkpoint that counts more is not used.

        Raises:
          RunError: there are checkpoints, but none of them can be used.
        """
        steps = self.steps()
        for step in steps:
            try:
                data = self._read(step)
                _, progress = decode(data, shapes)
                if progress["step"] != step:
                    raise RunError(f"it is of step {progress['step']}")
                if progress["lines"] > lines:
                    lost = fields.counted(int(progress["lines"] - lines), "line")
                    raise RunError(f"metrics.jsonl has lost {lost}")
            except (RunError, OSError) as error:
                print(f"checkpoint {self.folder / str(step)}: {error}", file=sys.stderr)
                continue
            return data
        if steps:
            raise RunError(f"{self.folder}: no usable checkpoint among {len(steps)}")
        return None

    def _read(self, step: int) -> bytes:
        folder = self.folder / str(step)
        data = (folder / STATE).read_bytes()
        if (folder / DIGESTS).read_bytes() != _digests(data):
            raise RunError(f"{STATE} does not match {DIGESTS}")
        return data

    def _remove(self, step: int) -> None:
        """Renames it first, so that a kill cannot leave half a checkpoint."""
        leftover = self.folder / f"{step}.old.partial"
        (self.folder / str(step)).rename(leftover)
        shutil.rmtree(leftover)


def encode(arrays: Arrays, progress: Progress) -> bytes:
    """A checkpoint's content. No result depends on `progress`, which is small."""
    return safetensors.numpy.save(arrays, metadata={"progress": json.dumps(progress)})


def decode(data: bytes, shapes: Shapes) -> tuple[Arrays, Progress]:
    """The arrays and the progress that `encode` was given.

    Raises:
      RunError: the data is anything else; it may come from a stranger.
    """
    try:
        arrays = safetensors.numpy.load(data)
        size = int.from_bytes(data[:8], "little")
        progress = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["progress"])
        step, seconds, lines = (progress[name] for name in ("step", "wall_seconds", "lines"))
    except (safetensors.SafetensorError, ValueError, TypeError, KeyError, RecursionError):
        raise RunError(f"{STATE} cannot be read") from None
    described = lambda leaves: {name: (leaf.shape, leaf.dtype) for name, leaf in leaves.items()}
    if described(arrays) != described(shapes):
        raise RunError(f"{STATE} belongs to another model")
    if type(step) is not int or type(lines) is not int or type(seconds) not in (int, float):
        raise RunError(f"{STATE} has no progress")
    return arrays, {"step": step, "wall_seconds": seconds, "lines": lines}


def _digests(data: bytes) -> bytes:
    """As `sha256sum --check` reads it."""
    return f"{hashlib.sha256(data).hexdigest()}  {STATE}\n".encode()
