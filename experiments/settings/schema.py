"""The fields of a config, those that it changes, and configs stored by earlier versions.

A run is identified by the fields that differ from their defaults. A field, cell or option that is
added later, with a default that changes nothing, therefore does not affect earlier runs.
"""

import contextlib
import copy
import dataclasses
import functools
import inspect
import re
from collections.abc import Sequence
from typing import Any

from ml_collections import ConfigDict

from configs import common
from experiments.datasets.sources import SOURCES, file_among
from gru_jax import CELLS, TASKS, FieldError, fields

# What each schema of stored configs changed. A new one is needed where a default, the meaning of a
# field or the random numbers of a run change: what was stored earlier then describes another run.
# It can still be read, reported and evaluated, but neither resumed nor extended.
CHANGES = {
    2: "parameters, training data and evaluation data have been given separate random streams",
    3: "a seed has solved its task once two evaluations in a row have reached the target",
}
SCHEMA = max(CHANGES)
# Schema 2 also has one name for what several cells share. What schema 1 called it in the section of
# a cell, its default there, and the field of config.model today.
MOVED = {
    "update_bias": (0.0, "keeping_bias"),
    "forget_bias": (None, "keeping_bias"),
    "chrono_max": (None, "chrono_max"),
}

Config = dict[str, Any]


def checked(config: ConfigDict | Config) -> Config:
    """Every field of a config, as nested dicts, lists and plain values.

    Of the cells' sections only the chosen one is left, the task has all of its options, and
    "schema" says that this is a config to be stored; a stored one keeps its own.

    Args:
      config: what a file in `configs` returns, or a stored one.

    Raises:
      FieldError: a field is missing or unknown, an option of another cell is set, or a stored
        config cannot be used by this version.
    """
    raw, schema = plain(config), SCHEMA
    if "schema" in raw:
        raw = complete(raw)
        _check_registered(raw)
        schema = raw.pop("schema")
    _drop_other_cells(raw)
    defaults = _defaults(raw)
    _check_section("config", raw, defaults)
    if missing := _missing("config", raw, defaults):
        raise absent(missing)
    return {"schema": schema, **raw, "task": {**defaults["task"], **raw["task"]}}


def identity(config: Config) -> Config:
    """The fields of a checked config that differ from their defaults, and its schema."""
    return by_content(_changed(config, _defaults(config)))


def named(config: Config) -> Config:
    """What the default folder of a run is named by: its identity, but for the digest of a text
    that comes with a package. So its command finds it again, and is refused if the text changed.
    """
    return identity(config) if has_file(config) else without("sha256", identity(config))


def by_content(config: Config) -> Config:
    """The config without the place of its data file, which its digest identifies."""
    identified = has_file(config) and _word(config, "task", "sha256")
    return without("path", config) if identified else config


def without(option: str, config: Config) -> Config:
    """The config without an option of its task."""
    return {**config, "task": {n: each for n, each in config["task"].items() if n != option}}


def has_file(config: Config) -> bool:
    """Whether its examples come from a file."""
    return _word(config, "task", "name") in SOURCES and bool(_word(config, "task", "path"))


def with_data(config: Config, files: Sequence[str]) -> Config:
    """The config with its data file, if it has one, where --data says that it lies now.

    Args:
      files: several may be named; by default, the file lies where it lay last.

    Raises:
      FieldError: none of them is the file that the run began with.
    """
    if not files or not has_file(config):
        return config
    path = file_among(files, _word(config, "task", "sha256"))
    return {**config, "task": {**config["task"], "path": path}}


def complete(stored: Config) -> Config:
    """A stored config with its fields called as today, and those added since at their defaults.

    Raises:
      FieldError: a later version has stored it.
    """
    schema = stored.get("schema", 1)  # the first configs did not say it
    if type(schema) is not int or not 1 <= schema <= SCHEMA:
        raise FieldError(
            "config.schema", schema, f"in 1..{SCHEMA}: another version of this program stored it"
        )

    def filled(given: Any, defaults: Any) -> Any:
        if not (isinstance(given, dict) and isinstance(defaults, dict)):
            return given
        inner = {name: filled(given.get(name, each), each) for name, each in defaults.items()}
        return {**given, **inner}

    if schema == 1:
        stored = _moved(stored)
    found: Config = filled({**stored, "schema": schema}, _defaults(stored))
    if isinstance(found["model"], dict):  # the first stored configs have a section for every cell
        others = CELLS.keys() - {_word(found, "model", "cell")}
        found["model"] = {name: each for name, each in found["model"].items() if name not in others}
    return found


def changes_since(schema: int) -> str:
    """What is different today, in words; nothing where the schema is today's."""
    return "; ".join(text for number, text in CHANGES.items() if number > schema)


def renamed(command: str) -> str:
    """A command with the fields of schema 1 called as today."""
    for option, (_, field) in MOVED.items():
        command = re.sub(rf"config\.model\.\w+\.{option}=", f"config.model.{field}=", command)
    return command


def _moved(stored: Config) -> Config:
    """A config of schema 1 with the options that several cells share where they are today."""
    cell = _word(stored, "model", "cell")
    section = stored["model"].get(cell) if cell else None
    if not isinstance(section, dict):
        return stored
    model, section = dict(stored["model"]), dict(section)
    known = CELLS[cell].options() if cell in CELLS else {}
    for option, (default, field) in MOVED.items():
        if option in section.keys() - known.keys() and (value := section.pop(option)) != default:
            model[field] = value
    return {**stored, "model": {**model, str(cell): section}}


def plain(value: Any, path: str = "config") -> Any:
    """A config, or a value, as it would come back from JSON: dicts, lists and plain values."""
    if isinstance(value, ConfigDict):
        value = value.to_dict()
    if isinstance(value, dict):
        return {str(name): plain(inner, f"{path}.{name}") for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, path) for inner in value]
    value = fields.plain(value)
    if value is not None and not isinstance(value, bool | int | float | str):
        raise FieldError(path, value, "a number, a word, a list or a section")
    return value


def absent(names: list[str]) -> FieldError:
    """The error about fields that have to be given, all at once."""
    first, *others = names
    also = f", and so must {', '.join(others)}" if others else ""
    return FieldError(first, None, f"given{also}")


def check_names(given: Config, known: list[str]) -> None:
    """Raises FieldError if a field is unknown."""
    for name, value in given.items():
        if name not in known:
            raise FieldError(
                name, value, f"left out: there is no such field{fields.nearest(name, known)}"
            )


def within(section: str, function: Any, *args: Any, **kwargs: Any) -> Any:
    """Calls function(...), and prefixes the field of a FieldError with the section."""
    try:
        return function(*args, **kwargs)
    except FieldError as error:
        raise error.inside(section) from None


def _base() -> Config:
    """All fields that every config has, at their defaults, with the options of all cells."""
    return copy.deepcopy(_base_of(tuple(CELLS.items())))


@functools.lru_cache(maxsize=1)
def _base_of(_: Any) -> Config:
    return plain(common.get_config())


def _defaults(config: Config) -> Config:
    """The fields of a config with this task and this cell, at their defaults."""
    found = _base()
    for name in CELLS.keys() - {_word(config, "model", "cell")}:
        del found["model"][name]
    task = _word(config, "task", "name")
    options: Config = {}
    if task in SOURCES:
        known = inspect.signature(SOURCES[task]).parameters
        options = {name: option.default for name, option in known.items()}
    elif task in TASKS:
        each = [field for field in dataclasses.fields(TASKS[task]) if field.init]
        options = {field.name: field.default for field in each}
    for name, default in options.items():
        with contextlib.suppress(FieldError):  # no default, or one that a config cannot hold
            found["task"][name] = plain(default)
    return found


def _word(config: Config, section: str, field: str) -> str | None:
    """The value of a field if it is a string, else None: a stored config may hold anything."""
    place = config.get(section)
    value = place.get(field) if isinstance(place, dict) else None
    return value if isinstance(value, str) else None


def _changed(config: Config, defaults: Config) -> Config:
    """The fields that are not at their defaults, in their sections."""
    found = {}
    for name, value in config.items():
        default = defaults.get(name)
        if isinstance(value, dict) and isinstance(default, dict):
            value, default = _changed(value, default), {}
        if name not in defaults or value != default:
            found[name] = value
    return found


def _check_registered(stored: Config) -> None:
    """Raises FieldError if a run's own cell or task is not registered.

    A run's folder does not say which code to import; that is what --import is for.
    """
    for section, field, registry, known in (
        ("task", "name", "TASKS", TASKS.keys() | SOURCES.keys()),
        ("model", "cell", "CELLS", CELLS.keys()),
    ):
        name = _word(stored, section, field)
        if name is not None and name not in known:
            entry = f"{registry}[{fields.short(name)}] = ..."
            allowed = f"registered first: import the file that says {entry} (--import=FILE)"
            raise FieldError(f"config.{section}.{field}", name, allowed)


def _drop_other_cells(raw: Config) -> None:
    """Removes the sections of cells that are not chosen. Options set there are an error."""
    model = raw.get("model")
    if not isinstance(model, dict):
        return  # `_check_section` raises
    chosen = within("config.model", fields.one_of, "cell", model.get("cell"), CELLS)
    base = _base()["model"]
    for name in [name for name in CELLS if name != chosen]:
        path, given = f"config.model.{name}", model.pop(name, base[name])
        _check_section(path, given, base[name])
        for option, value in _changed(given, base[name]).items():
            allowed = f"left at its default: model.cell is {chosen!r}"
            raise FieldError(f"{path}.{option}", value, allowed)


def _check_section(path: str, given: Any, defaults: Config) -> None:
    """Checks that a section has no other fields, recursively. A task checks its own."""
    if not isinstance(given, dict):
        raise FieldError(path, given, "a section with fields")
    if path == "config.task":
        return
    within(path, check_names, given, list(defaults))
    for name, default in defaults.items():
        if isinstance(default, dict) and name in given:
            _check_section(f"{path}.{name}", given[name], default)


def _missing(path: str, given: Config, defaults: Config) -> list[str]:
    """The fields, and whole sections, that a config lacks. A task checks its own."""
    found = []
    for name, default in defaults.items():
        if name not in given:
            found.append(f"{path}.{name}")
        elif isinstance(default, dict) and name != "task":
            found += _missing(f"{path}.{name}", given[name], default)
    return found
