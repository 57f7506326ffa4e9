"""Reads the trials of a sweep's file. All are resolved and checked before any is started."""

import copy
import dataclasses
import fnmatch
import functools
import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from ml_collections import ConfigDict

from configs import common
from experiments.settings import schema
from experiments.settings.resolution import Settings, resolve
from experiments.settings.schema import identity
from experiments.system.files import RunError
from experiments.system.own import imported, raised
from gru_jax import FieldError, fields

# Fields that have no say in how many parameters there are: trials that differ in these alone need
# not be counted one by one.
AS_BY_DEFAULT = {
    f"model.{name}": common.get_config().model[name]
    for name in (
        "keeping_bias",
        "chrono_max",
        "dtype",
        "recurrence",
        "gradient",
        "segment",
        "unroll",
    )
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=+-]{0,99}")


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run of a sweep.

    name: its name, and that of its folder.
    settings: the resolved run.
    overrides: how it differs from the sweep's base config, including a matched width.
    reference: the trial that this one is tested against, if any.
    after: trials of which one has to have solved its task, by at least one seed, before this one
      is run; if none has, it is not.
    """

    name: str
    settings: Settings
    overrides: dict[str, Any]
    reference: str | None = None
    after: tuple[str, ...] = ()


Add = Callable[..., None]


def from_file(path: str, config: ConfigDict) -> list[Trial]:
    """The trials of a sweep's file, whose base config has already been read.

    Raises:
      RunError: the file adds no trials, or raises an error of its own.
      FieldError: a trial has a field, value or name that is not allowed.
    """
    sweep = getattr(imported(path, "--config"), "sweep", None)
    if not callable(sweep):
        raise RunError(f"--config: {path} has no sweep(add), so it describes one run")
    try:
        return described(config.to_dict(), sweep)
    except Exception as error:
        raise raised("--config", path, error) from None


def only(trials: list[Trial], pattern: str) -> list[Trial]:
    """Those whose names match the pattern of --only, with * and ?.

    Raises:
      RunError: there are none.
    """
    chosen = [trial for trial in trials if fnmatch.fnmatchcase(trial.name, pattern)]
    if not chosen:
        hint = fields.nearest(pattern, [trial.name for trial in trials])
        count = fields.counted(len(trials), "trial")
        raise RunError(f"--only={pattern} matches none of the {count}{hint}")
    return chosen


def described(base: dict[str, Any], sweep: Callable[[Add], None]) -> list[Trial]:
    """The trials that `sweep` adds to a base config.

    `sweep` calls add(name, overrides, parameters=None, reference=None, after=()) for each:

      name: the name of the trial and of its folder.
      overrides: {"task.length": 200, ...}; a whole section, such as "task", is replaced.
      parameters: choose the width of every layer that brings the model nearest to this number.
      reference: the name of the trial that this one is tested against.
      after: names of trials that were added before; this one is run once one of them has solved
        its task by at least one seed, and not at all if none has.

    Raises:
      RunError: there are none.
      FieldError: a name is taken or malformed, two trials are equal, a reference is unknown, a
        trial is after one that was not added before, or a field of a trial has a value that is
        not allowed.
    """
    found: dict[str, Trial] = {}
    names_by_config: dict[str, str] = {}

    def add(
        name: str,
        overrides: dict[str, Any],
        parameters: int | None = None,
        reference: str | None = None,
        after: Sequence[str] = (),
    ) -> None:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise FieldError("trial", name, "a short name of letters, digits and . _ = + -")
        if name in found:
            raise FieldError("trial", name, "a name that no other trial has")
        try:
            overrides = {path: schema.plain(value, path) for path, value in overrides.items()}
            if parameters is not None:
                overrides["model.hidden_sizes"] = matched(base, overrides, parameters)
            settings = resolve(overridden(base, overrides))
        except FieldError as error:
            raise FieldError(f"trial {name}: {error.field}", error.value, error.allowed) from None
        twin = names_by_config.setdefault(
            json.dumps(identity(settings.config), sort_keys=True), name
        )
        if twin != name:
            raise FieldError("trial", name, f"different from {twin}: they are equal once resolved")
        others = fields.sequence(f"trial {name}: after", after, "a list of names")
        for other in others:
            if other not in found.keys() - {name}:
                hint = fields.nearest(str(other), found)
                allowed = f"the name of a trial that was added before{hint}"
                raise FieldError(f"trial {name}: after", other, allowed)
        found[name] = Trial(name, settings, overrides, reference, tuple(others))

    add.__qualname__ = "add"  # as errors of Python's call it
    sweep(add)
    for trial in found.values():
        if trial.reference is not None and trial.reference not in found.keys() - {trial.name}:
            hint = fields.nearest(trial.reference, found)
            allowed = f"the name of another trial{hint}"
            raise FieldError(f"trial {trial.name}: reference", trial.reference, allowed)
    if not found:
        raise RunError("the sweep adds no trials")
    return list(found.values())


def overridden(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """The config with its fields, or whole sections, replaced."""
    config = copy.deepcopy(base)
    for path, value in overrides.items():
        *sections, field = path.split(".")
        place = config
        for section in sections:
            inner = place.get(section)
            if not isinstance(inner, dict):
                hint = fields.nearest(section, place)
                raise FieldError(path, value, f"left out: there is no section {section!r}{hint}")
            place = inner
        place[field] = value
    return config


def matched(base: dict[str, Any], overrides: dict[str, Any], parameters: int) -> tuple[int, ...]:
    """The same width for every layer, such that the model is nearest to a number of parameters.

    Raises:
      FieldError: one unit per layer is already too many.
    """
    fields.integer("parameters", parameters, 1)
    layers = len(overridden(base, overrides)["model"]["hidden_sizes"])

    @functools.cache
    def count(units: int) -> int:
        sized = {"model.hidden_sizes": (units,) * layers}
        return resolve(overridden(base, overrides | AS_BY_DEFAULT | sized)).experiment.parameters

    if count(1) > parameters:
        raise FieldError(
            "parameters", parameters, f"at least {count(1)}, the size with one unit per layer"
        )
    units = _nearest(_parabola(count), parameters)
    if _parabola(count)(units) != count(units):  # a user's cell may not be quadratic
        units = _nearest(count, parameters)
    return (units,) * layers


def _parabola(count: Callable[[int], int]) -> Callable[[int], int]:
    """Extrapolates the counts from three: kernels are quadratic in the units."""
    first, second, third = count(1), count(2), count(3)
    bend = third - 2 * second + first
    rise = lambda units: (units - 1) * (second - first) + (units - 1) * (units - 2) // 2 * bend
    return lambda units: max(first + rise(units), 1)


def _nearest(count: Callable[[int], int], parameters: int) -> int:
    """The number of units whose count is nearest; of two, the smaller."""
    units = 64
    for _ in range(3):  # about quadratic in the units
        units = max(1, round(units * math.sqrt(parameters / count(units))))
    distance = lambda units: abs(count(units) - parameters)
    while (better := min((max(units - 1, 1), units, units + 1), key=distance)) != units:
        units = better
    return units
