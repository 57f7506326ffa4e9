"""What the programs share: flags, and errors that take one line."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import rich.console
from absl import flags
from ml_collections import config_flags

from experiments.workdir import RunError
from gru_jax import FieldError

BAD_INPUT = 2


def define_config() -> None:
    config_flags.DEFINE_config_file(
        "config", None, "a file in configs/; --config.FIELD=VALUE overrides a field"
    )


def run(
    main: Callable[[], int], define_flags: Callable[[], None], argv: Sequence[str] | None = None
) -> None:
    """Parses flags, calls `main`, and exits with its status; bad input is one line, status 2."""
    define_flags()
    sys.exit(_run(main, list(argv or sys.argv)))


def _run(main: Callable[[], int], argv: list[str]) -> int:
    try:
        rest = flags.FLAGS(argv)[1:]
        if rest:
            raise flags.Error(f"unexpected argument {rest[0]!r}: options start with --")
        if "config" in flags.FLAGS and flags.FLAGS.config is None:
            raise flags.Error("--config is missing: for instance --config=configs/adding.py")
        return main()
    except (FieldError, RunError) as error:
        return _complain(str(error))
    except flags.Error as error:
        hint = "" if "--config is" in str(error) else " (--config=FILE comes before --config.FIELD)"
        return _complain(str(error) + (hint if "config." in str(error) else ""))
    except (AttributeError, KeyError, TypeError, ValueError, SyntaxError, OSError) as error:
        # What ml_collections raises for an override is about the command line only if it
        # was raised while the flags were read.
        if flags.FLAGS.is_parsed():
            raise
        return _complain(str(error))


def _complain(text: str) -> int:
    print("error: " + " ".join(text.split()), file=sys.stderr)
    return BAD_INPUT


def console() -> rich.console.Console:
    """A console that is wide enough for a table also where the output is a file."""
    found = rich.console.Console(highlight=False)
    return found if found.is_terminal else rich.console.Console(highlight=False, width=120)


def tool(name: str) -> str:
    """A command of this Python's environment, as somebody would type it from here."""
    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else name
