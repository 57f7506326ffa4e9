"""What the programs share: flags, and errors that take one line."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import rich.console
from absl import flags
from ml_collections import config_flags

from experiments.files import RunError
from gru_jax import FieldError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def define_config() -> None:
    config_flags.DEFINE_config_file(
        "config", None, "a file in configs/; --config.FIELD=VALUE overrides a field"
    )


def run(main: Callable[[], int], define_flags: Callable[[], None]) -> None:
    """Parses flags, calls `main`, and exits with its status; bad input is one line, status 2."""
    foreign = set(flags.FLAGS)
    define_flags()
    if {"--help", "-h"} & set(sys.argv):
        print(sys.modules["__main__"].__doc__)
        for name in sorted(set(flags.FLAGS) - foreign):
            print(f"  --{name}: {flags.FLAGS[name].help}")
        sys.exit(0)
    # Ctrl-C was silent while modules were imported: see experiments/__init__.py.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = _run(main)
    if status and jax.distributed.is_initialized():
        sys.stdout.flush()
        os._exit(status)  # a farewell would wait for processes that are ending as well
    sys.exit(status)


def _run(main: Callable[[], int]) -> int:
    try:
        _parse(sys.argv)
    except flags.Error as error:
        lost = "config." in str(error) and "--config=" not in " ".join(sys.argv)
        return _complain(f"{error} (--config=FILE is missing)" if lost else str(error))
    except Exception as error:  # a config file is somebody's program: it may raise anything
        meant = re.search(r'Did you mean "(\w+)" instead of "(\w+)"', str(error))
        if meant:  # ml_collections' hint for an override
            return _complain(f"no config field {meant[2]!r}: did you mean {meant[1]!r}?")
        return _complain(f"{type(error).__name__}: {error}")
    try:
        return main()
    except (FieldError, RunError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(str(error), FAILED)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        return _complain(f"{type(error).__name__}: {error}"[:500], FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED


def _parse(argv: list[str]) -> None:
    rest = flags.FLAGS(argv)[1:]
    if rest:
        raise flags.Error(f"unexpected argument {rest[0]!r}: options start with --")
    if "config" in flags.FLAGS:
        if flags.FLAGS.config is None:
            raise flags.Error("--config is missing: for instance --config=configs/adding.py")
        flags.FLAGS.config.to_dict()  # a file that cannot be read complains only when used


def _complain(text: str, status: int = BAD_INPUT) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return status


def console() -> rich.console.Console:
    """A console that is wide enough for a table also where the output is a file."""
    found = rich.console.Console(highlight=False)
    return found if found.is_terminal else rich.console.Console(highlight=False, width=120)


def tool(name: str) -> str:
    """A command of this Python's environment, as somebody would type it from here."""
    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else name
