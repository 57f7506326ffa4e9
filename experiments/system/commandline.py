"""What the programs share: flags, and errors that take one line."""

import argparse
import contextlib
import gc
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

import jax
from absl import flags

from experiments.system import compilation, config_files, own, signals
from experiments.system.arguments import written_out
from experiments.system.config_files import Options
from experiments.system.files import RunError
from experiments.system.manual import FIELD, IMPORT, Flag, Program
from gru_jax import FieldError, fields

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """The arguments of scripts, whose errors take one line here, too."""

    def __init__(self, description: str | None):
        super().__init__(description=description, formatter_class=argparse.RawTextHelpFormatter)

    def error(self, message: str) -> NoReturn:
        self.exit(_complain(f"{message} (see --help)"))


def define(defined: Iterable[Flag], values: flags.FlagValues = flags.FLAGS) -> None:
    """Defines flags of a program in absl's."""
    for flag in defined:
        if flag.kind != FIELD:
            kind = getattr(flags, f"DEFINE_{flag.kind}")
            more = {"required": flag.required, "flag_values": values}
            kind(flag.name, flag.default, flag.text, **more)


def imports(argv: list[str]) -> list[str]:
    """The files that --import names. They are imported before a config is read."""
    values = flags.FlagValues()
    define([IMPORT], values)
    values.set_gnu_getopt()
    values(argv, known_only=True)
    return list(values["import"].value or [])


def config_file() -> str:
    """The file that --config names, without the argument behind a colon."""
    return config_files.given(sys.argv).path


def run(main: Callable[..., int], program: Program, options: Options = config_files.none) -> None:
    """Parses flags, calls `main`, and exits with its status; bad input is one line, status 2.

    Args:
      main: it is given the arguments that are no flags, if the program takes any.
      options: see `parse`.
    """
    program.answer()
    define([*program.flags, IMPORT])
    # Undoes what the package's __init__.py did for the time of the imports.
    signal.signal(signal.SIGINT, signals.interrupt)
    # Tracing makes so many objects that looking for garbage took a tenth of the time to a start.
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    status = _run(main, program, options)
    if status and jax.distributed.is_initialized():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)  # JAX's shutdown would wait for processes that are ending too
    sys.exit(status)


def _run(main: Callable[..., int], program: Program, options: Options) -> int:
    def parsed() -> int:
        sys.argv = written_out(sys.argv)
        for file in imports(sys.argv):
            own.imported(file)
        rest = parse(sys.argv, flags.FLAGS, program.takes, options)
        compilation.use_cache()
        return main(*rest)

    return guarded(parsed)


def guarded(main: Callable[[], int]) -> int:
    """Calls `main` and returns the exit status; an error takes one line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever characters a terminal has
            stream.reconfigure(errors="backslashreplace")
    try:
        return main()
    except (FieldError, RunError, flags.Error) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(str(error), FAILED)
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        return _complain(f"{type(error).__name__}: {error}"[:500], FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if theirs := own.place(error):
            return _complain(f"{theirs}: {type(error).__name__}: {error}")
        # A bug: the place is what a user can report.
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        where = (ours or frames)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return _complain(f"unforeseen {type(error).__name__}: {error} ({place})", FAILED)


def parse(
    argv: list[str],
    values: flags.FlagValues,
    takes: str = "",
    options: Options = config_files.none,
) -> list[str]:
    """Reads the arguments into the flags; `values.config` is the config with its overrides.

    Args:
      takes: what the program takes beside flags; it must be given, and is returned.
      options: those of a task, which may be set whether or not the config's file names them.

    Raises:
      FieldError: a field of the config is unknown, or its value has the wrong type.
      flags.Error: another flag is wrong.
      RunError: the config's file cannot be read.
    """
    takes_config = "config" in values
    argv = values.read_flags_from_files(argv, force_gnu=False)
    command = config_files.given(argv) if takes_config else config_files.Given("", [], argv)
    try:
        rest = values(command.rest)[1:]
    except flags.IllegalFlagValueError as error:
        if missing := re.findall(r"flag (--\w+)=None", str(error)):
            raise flags.Error(f"missing: {', '.join(missing)} (see --help)") from None
        raise
    if rest and not takes:
        raise flags.Error(f"unexpected argument {rest[0]!r}: options start with --")
    if takes and not rest:
        raise flags.Error(f"missing: {takes} (see --help)")
    if not takes_config or ("describe" in values and values["describe"].value):
        return rest
    if not command.file:
        said = f"{command.changes[0][0]} without --config=FILE" if command.changes else ""
        raise flags.Error(
            said or "--config is missing: give one, such as --config=configs/adding.py"
        )
    values.config = config_files.configured(command, options)
    return rest


def _complain(text: str, status: int = BAD_INPUT) -> int:
    print("error: " + fields.printable(" ".join(text.split())), file=sys.stderr)
    return status
