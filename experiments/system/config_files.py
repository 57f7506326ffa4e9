"""--config=FILE and --config.FIELD=VALUE: a config file, and the fields that a command changes."""

import ast
import dataclasses
import inspect
import re
from collections.abc import Callable
from typing import Any

from absl import flags
from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from experiments.system.files import RunError
from experiments.system.own import imported, raised
from gru_jax import FieldError, fields

FILE = re.compile(r"--?config(?:=(.*))?", re.DOTALL)
FIELD = re.compile(r"--?(no)?(config\..*?)(?:=(.*))?", re.DOTALL)
Options = Callable[[str], ConfigDict]  # of the task of a name, as fields of config.task
SWITCHED = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}


def none(_: str) -> ConfigDict:
    """`Options` of a program that knows no tasks."""
    return ConfigDict()


@dataclasses.dataclass(frozen=True)
class Given:
    """What a command line says about its config.

    file: the FILE of --config=FILE, or FILE:ARGUMENT; empty if it is not given.
    changes: the fields that it changes and their values, in order.
    rest: all other arguments.
    """

    file: str
    changes: list[tuple[str, str]]
    rest: list[str]

    @property
    def path(self) -> str:
        """The file without the argument behind a colon."""
        return self.file.partition(":")[0]


def given(argv: list[str]) -> Given:
    """Reads the arguments about the config. A value may also stand behind a space.

    Raises:
      flags.Error: --config has no value, or an empty one.
    """
    file, left = "", argv[::-1]
    changes: list[tuple[str, str]] = []
    rest: list[str] = []
    while left:
        argument = left.pop()
        if argument == "--":
            return Given(file, changes, [*rest, argument, *left[::-1]])
        if found := FILE.fullmatch(argument):
            if found[1] is None and not left:
                raise flags.Error("--config is missing its file")
            file = left.pop() if found[1] is None else found[1]
            if not file:
                raise flags.Error("--config is empty")
        elif found := FIELD.fullmatch(argument):
            bare = found[3] is None
            if bare and not found[1] and left and not left[-1].startswith("--"):
                value = left.pop()
            else:
                value = ("false" if found[1] else "true") if bare else found[3]
            changes.append((found[2], value))
        else:
            rest.append(argument)
    return Given(file, changes, rest)


def configured(command: Given, options: Options) -> ConfigDict:
    """The config of a file with the fields that a command changes.

    Args:
      options: those of a task may be set whether or not the file names them.

    Raises:
      RunError: the file cannot be read, raises an error of its own, or returns no config.
      FieldError: a field is unknown, or its value is of another kind.
    """
    path, colon, argument = command.file.partition(":")
    get_config = getattr(imported(path, "--config"), "get_config", None)
    if not callable(get_config):
        raise RunError(f"--config: {path} has no get_config()")
    given = [argument] if colon else []
    _check_takes(get_config, given, path)
    try:
        found = get_config(*given)
        config = ConfigDict(found) if isinstance(found, dict) else found
    except Exception as error:
        raise raised("--config", path, error) from None
    if not isinstance(config, ConfigDict):
        raise RunError(f"--config: {path}: get_config() returns {fields.short(found)}, no config")
    # Which options there are depends on the task, wherever the command names it.
    for field, text in sorted(command.changes, key=lambda change: change[0] != "config.task.name"):
        _change(config, field, text, options)
    return config


def _check_takes(get_config: Callable[..., Any], given: list[str], path: str) -> None:
    """Raises RunError if a file's get_config() cannot be called with what is behind the colon."""
    try:
        inspect.signature(get_config).bind(*given)
    except TypeError:
        told = "takes nothing after the colon" if given else "needs an argument: FILE:ARGUMENT"
        raise RunError(f"--config={':'.join([path, *given])}: this file {told}") from None
    except ValueError:  # it has no signature that could be read
        return


def _change(config: ConfigDict, path: str, text: str, options: Options) -> None:
    place, value = "config", config
    for name in path.split(".")[1:]:
        known = list(value) if isinstance(value, ConfigDict) else []
        if place == "config.task" and known and name not in known:
            more = options(value.get("name"))
            if name in more:
                with value.unlocked():
                    value[name] = placeholder(more.get_type(name))
            known += [option for option in more if option not in known]
        if name not in known:
            hint = fields.nearest(name, known) or (f": it has {', '.join(known)}" * bool(known))
            raise FieldError(f"{place}.{name}", text, f"left out: no such field{hint}")
        section, place, value = value, f"{place}.{name}", value[name]
    if isinstance(value, ConfigDict):
        raise FieldError(place, text, f"given field by field: {', '.join(value)}")
    kind, read = KINDS.get(section.get_type(name), ("a value", _literal))
    try:
        value = None if text == "None" else read(text)
    except (ValueError, KeyError):
        raise FieldError(place, text, kind) from None
    with section.ignore_type():  # a field that is set may be unset
        section[name] = value


def _literal(text: str) -> Any:
    """A value in Python's notation, or else a word."""
    try:
        return ast.literal_eval(text.capitalize() if text in ("true", "false") else text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return text


def _list(text: str) -> tuple[Any, ...]:
    found = _literal(text)
    if isinstance(found, str) and set(text) & set("([{, "):
        raise ValueError
    return tuple(found) if isinstance(found, tuple | list) else (found,)


# By the type of a field: the values that it takes, in words, and how they are read.
KINDS: dict[type, tuple[str, Callable[[str], Any]]] = {
    int: ("a whole number", lambda text: int(text, 16 if text.startswith("0x") else 10)),
    float: ("a number", float),
    bool: ("true or false", lambda text: SWITCHED[text.lower()]),
    tuple: ("a list, like (64,32)", _list),
    str: ("a word", str),
}
