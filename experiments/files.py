"""Files that are whole or absent, whenever the program is killed."""

import json
import os
from pathlib import Path
from typing import Any


class RunError(Exception):
    """A run's folder cannot be used as asked. Its text is one line."""


def write_json(path: Path, content: Any) -> None:
    """Writes the whole file or nothing."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes the whole file or nothing."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, data: bytes) -> None:
    """Writes the whole file or nothing."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def synchronise(folder: Path) -> None:
    """Names reach the disk too, so that a machine that loses power keeps them."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
