"""Imports the file that registers your own cell or task: --import=FILE.

A run's folder does not say which code to import, so every program that reads one has this flag.
"""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from experiments.system.files import RunError
from gru_jax import CELLS, TASKS, FieldError, fields


def imported(path: str, flag: str = "--import") -> ModuleType:
    """Runs a Python file and returns its module. It may be called again with the same file.

    Raises:
      RunError: there is no such file, or it raises an error of its own.
    """
    name = str(Path(path).resolve())
    spec = importlib.util.spec_from_file_location(name, path)
    if not Path(path).exists():
        raise RunError(f"{flag}: {path} does not exist{_hint(Path(path))}")
    if spec is None or spec.loader is None or not Path(path).is_file():
        raise RunError(f"{flag}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses resolve annotations there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise raised(flag, path, error) from None
    return module


def describes_a_sweep(path: str) -> bool:
    """Whether a file that was imported adds trials to its config."""
    return callable(getattr(sys.modules.get(str(Path(path).resolve())), "sweep", None))


def _hint(path: Path) -> str:
    """A Python file beside a missing one that has a similar name, as a question."""
    beside = [str(path.with_name(each.name)) for each in path.parent.glob("*.py")]
    return fields.nearest(str(path), beside)


def raised(flag: str, path: str, error: Exception) -> Exception:
    """What to raise where a file that was imported raises an error: one that names the line."""
    if isinstance(error, FieldError | fields.ContractError | RunError):
        return error
    return RunError(f"{flag}: {place(error) or path}: {type(error).__name__}: {error}")


def place(error: Exception) -> str | None:
    """FILE:LINE of the innermost line of an imported file that led to an error, if any did."""
    frames = [(each.filename, each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        frames.append((str(error.filename), error.lineno))
    for file, line in reversed(frames):
        if str(Path(file).resolve()) in sys.modules:  # where `imported` puts it
            return f"{file}:{line}"
    return None


def flags(files: list[str]) -> list[str]:
    """Flags with which another program imports these files; none if only our classes are used."""
    classes = (*CELLS.values(), *TASKS.values())
    if all(each.__module__.partition(".")[0] == "gru_jax" for each in classes):
        return []
    return [f"--import={Path(file).resolve()}" for file in files]
