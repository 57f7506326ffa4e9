"""A cell or task of one's own: the file that registers it, which a program is told to import.

A run's folder names no code, so whoever reads one says what to import: --import=FILE.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from experiments.system.files import RunError
from gru_jax import CELLS, TASKS, FieldError


def imported(path: str, flag: str = "--import") -> ModuleType:
    """Runs a Python file and returns its module; to do it again changes nothing.

    Raises:
      RunError: there is no such file, or it raises an error of its own.
    """
    name = str(Path(path).resolve())
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise RunError(f"{flag}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look there for what annotations name
    try:
        spec.loader.exec_module(module)
    except (FieldError, RunError):
        raise
    except Exception as error:  # the file is somebody's program: it may raise anything
        raise RunError(f"{flag}: {path}: {type(error).__name__}: {error}") from None
    return module


def flags(files: list[str]) -> list[str]:
    """What tells another program to import these; nothing where all classes are the library's."""
    classes = (*CELLS.values(), *TASKS.values())
    if all(each.__module__.partition(".")[0] == "gru_jax" for each in classes):
        return []
    return [f"--import={Path(file).resolve()}" for file in files]
