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

NUMBERS = {"int": "a whole number", "float": "a number"}
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
            kind(flag.name, flag.default, flag.text, flag_values=values)


def imports(argv: list[str]) -> list[str]:
    """The files that --import names. They are imported before a config is read."""
    values = flags.FlagValues()
    define([IMPORT], values)
    values.set_gnu_getopt()
    values(argv, known_only=True)
    _check_given(values)
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
        rest = parse(sys.argv, flags.FLAGS, program, options)
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
    except (FieldError, fields.ContractError, RunError, flags.Error) as error:
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
    program: Program,
    options: Options = config_files.none,
) -> list[str]:
    """Reads the arguments into the flags; `values.config` is the config with its overrides.

    Args:
      options: those of a task, which may be set whether or not the config's file names them.

    Returns:
      The arguments that are no flags, if the program takes any; then it needs one.

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
        raise _of_another_kind(str(error), values) from None
    _check_given(values)
    takes, needed = program.takes, [f"--{flag.name}" for flag in program.flags if flag.required]
    missing = [name for name in needed if values[name[2:]].value is None]
    if rest and not takes:
        instead = f", such as {missing[0]}={rest[0]}" if missing else ""
        raise flags.Error(f"unexpected argument {rest[0]!r}: options start with --{instead}")
    if "" in rest:
        raise flags.Error(f"{takes} has an empty name")
    if takes and not rest:
        missing = [takes]
    if missing:
        raise flags.Error(f"missing: {', '.join(missing)} (see --help)")
    if not takes_config or ("describe" in values and values["describe"].value):
        return rest
    if not command.file:
        said = f"{command.changes[0][0]} without --config=FILE" if command.changes else ""
        example = program.examples[0][1].split()[0]
        raise flags.Error(said or f"--config is missing: give one, such as {example}")
    values.config = config_files.configured(command, options)
    return rest


def _check_given(values: flags.FlagValues) -> None:
    """Raises flags.Error if a flag is given without a value, as by a variable that is not set."""
    for name in values:
        value = values[name].value
        if values[name].present and value in ("", [], [""]):
            raise flags.Error(f"--{name} is empty")
        if isinstance(value, list) and "" in value:
            raise flags.Error(f"--{name}={','.join(value)} has an empty entry")


def _of_another_kind(message: str, values: flags.FlagValues) -> Exception:
    """The error about a flag whose value is not of its kind, from what absl says of it."""
    found = re.match(r"flag --(\w+)=(.*?): ", message, re.DOTALL)
    kind = NUMBERS.get(values[found[1]].flag_type()) if found else None
    return FieldError(f"--{found[1]}", found[2], kind) if found and kind else flags.Error(message)


def _complain(text: str, status: int = BAD_INPUT) -> int:
    print("error: " + fields.printable(" ".join(text.split())), file=sys.stderr)
    return status
