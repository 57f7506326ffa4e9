"""What the programs share: flags, and errors that take one line."""

import contextlib
import io
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import jax
from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags import config_path

from experiments.system import compilation
from experiments.system.arguments import written_out
from experiments.system.files import RunError
from experiments.system.own import imported
from gru_jax import FieldError, fields

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
OVERRIDE = re.compile(r"--?(?:no)?(config\..*?)(?:=(.*))?", re.DOTALL)
KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple: "a list, like (64,32)",
    str: "a word",
}


def define_config(values: flags.FlagValues = flags.FLAGS, argv: list[str] | None = None) -> None:
    config_flags.DEFINE_config_file(
        "config",
        None,
        "a config file, such as configs/adding.py; --config.FIELD=VALUE overrides a field",
        flag_values=values,
        sys_argv=argv,
    )


def define_import(values: flags.FlagValues = flags.FLAGS) -> None:
    flags.DEFINE_multi_string(
        "import",
        [],
        "a Python file that registers your own cells or tasks; may be repeated",
        flag_values=values,
    )


def define_data() -> None:
    flags.DEFINE_multi_string(
        "data", [], "where the run's data file lies now (default: where it lay); may be repeated"
    )


def imports(argv: list[str]) -> list[str]:
    """The files that --import names. They are imported before a config is read."""
    values = flags.FlagValues()
    define_import(values)
    values.set_gnu_getopt()
    values(argv, known_only=True)
    return list(values["import"].value or [])


def config_file() -> str:
    """The file that --config names, without the argument behind a colon."""
    return config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]


def run(main: Callable[[], int], define_flags: Callable[[], None]) -> None:
    """Parses flags, calls `main`, and exits with its status; bad input is one line, status 2."""
    foreign = set(flags.FLAGS)
    define_import()
    define_flags()
    if {"--help", "-h"} & set(sys.argv):
        print((sys.modules["__main__"].__doc__ or "").strip() + "\n")
        for name in sorted(set(flags.FLAGS) - foreign):
            print(f"  --{name}: {flags.FLAGS[name].help.splitlines()[0].rstrip(';')}")
        sys.exit(0)
    # Undoes what the package's __init__.py did for the time of the imports.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = _run(main)
    if status and jax.distributed.is_initialized():
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os._exit(status)  # JAX's shutdown would wait for processes that are ending too
    sys.exit(status)


def _run(main: Callable[[], int]) -> int:
    def parsed() -> int:
        sys.argv = written_out(sys.argv)
        for file in imports(sys.argv):
            imported(file)
        parse(sys.argv, flags.FLAGS)
        compilation.use_cache()
        return main()

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
    except Exception as error:  # a bug: the place is what a user can report
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "site-packages" not in frame.filename]
        where = (ours or frames)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return _complain(f"unforeseen {type(error).__name__}: {error} ({place})", FAILED)


def parse(argv: list[str], values: flags.FlagValues) -> None:
    """Reads the arguments into the flags.

    Raises:
      FieldError: a field of the config is unknown, or its value has the wrong type.
      flags.Error: another flag is wrong.
      RunError: the config's file cannot be read.
    """
    try:
        rest = values(argv)[1:]
        if "config" in values and values.config is not None:
            values.config.to_dict()  # errors of a config file only show when it is used
    except Exception as error:  # a config file is somebody's program: it may raise anything
        raise _explained(argv, error) from None
    if rest:
        raise flags.Error(f"unexpected argument {rest[0]!r}: options start with --")
    if "config" in values and values.config is None:
        raise flags.Error("--config is missing: give one, such as --config=configs/adding.py")


def _explained(argv: list[str], error: Exception) -> Exception:
    """The same error, in terms of the field that caused it."""
    if missing := re.findall(r"flag (--\w+)=None", str(error)):
        return flags.Error(f"missing: {', '.join(missing)} (see --help)")
    overrides = [
        (found[1], found[2]) for found in (OVERRIDE.fullmatch(text) for text in argv) if found
    ]
    file = [text for text in argv if text.startswith(("--config=", "-config="))]
    if overrides and not file:
        return flags.Error(f"{overrides[0][0]} without --config=FILE")
    if not file:
        return error if isinstance(error, flags.Error) else _last_line(error)
    try:
        base = _config([argv[0], *file])
        config = base.to_dict()
    except Exception as fault:
        return _last_line(fault)
    for path, value in overrides:
        place, section = "config", config
        for name in path.split(".")[1:]:
            if not isinstance(section, dict) or name not in section:
                known = section if isinstance(section, dict) else {}
                hint = fields.nearest(name, known) or (f": it has {', '.join(known)}" * bool(known))
                return FieldError(f"{place}.{name}", value, f"left out: no such field{hint}")
            place, section = f"{place}.{name}", section[name]
        if isinstance(section, dict):
            return FieldError(place, value, f"given field by field: {', '.join(section)}")
        try:
            _config([argv[0], *file, f"--{path}={value}"])
        except Exception:
            kind = config_path.get_type(path.partition(".")[2], base)
            return FieldError(place, value, KINDS.get(kind, "of another kind"))
    if isinstance(error, flags.Error):
        return error
    return _last_line(error)


def _last_line(error: Exception) -> RunError:
    """Errors of ml_collections may hold a whole traceback. Its last line says enough."""
    return RunError(f"--config: {(str(error).strip() or repr(error)).splitlines()[-1].strip()}")


def _config(argv: list[str]) -> ConfigDict:
    values = flags.FlagValues()
    define_config(values, argv)
    values(argv)
    return values.config


def _complain(text: str, status: int = BAD_INPUT) -> int:
    print("error: " + fields.printable(" ".join(text.split())), file=sys.stderr)
    return status
