"""Turns a config into the library's objects. All bad values are found here, before any work."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from experiments.datasets.reading import existing_file
from experiments.datasets.sources import SOURCES, data_digest, load_task
from experiments.settings import schema
from experiments.settings.models import frozen, model_builder
from experiments.settings.options import NEEDED, defaults
from experiments.settings.schema import check_names, within
from gru_jax import (
    TASKS,
    Experiment,
    FieldError,
    Optimizer,
    Task,
    fields,
)
from gru_jax.tasks.dataset import Dataset
from gru_jax.tasks.next_step import NextStep


@dataclasses.dataclass(frozen=True)
class Settings:
    """A resolved run: what the library needs, and the config that it came from.

    config: every field, as `schema.checked` returns and `config.json` holds them.
    """

    config: dict[str, Any]
    experiment: Experiment
    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    clip_norms: tuple[float, ...]
    steps: int
    checkpoint_every: int
    checkpoints_kept: int

    @property
    def mesh_sizes(self) -> tuple[int, int]:
        """Arguments of `make_mesh` and `use_cpu_cores`: seeds, and parts of a batch."""
        return len(self.seeds), self.experiment.parts

    @property
    def program(self) -> Hashable:
        """Equal for runs that one compiled program can train as one population.

        Such runs may differ in what is passed to the program or invisible to it: seeds, learning
        rates, clip norms, and the initial parameters.
        """
        experiment = self.experiment
        graph, params = experiment.abstract_model
        fixed = [
            getattr(experiment, field.name)
            for field in dataclasses.fields(experiment)
            if field.name != "build"
        ]
        arrays = jax.tree.leaves_with_path(params)
        layout = [(jax.tree_util.keystr(path), leaf.shape, leaf.dtype) for path, leaf in arrays]
        return (graph, *layout, *fixed, self.steps, self.checkpoint_every)

    @property
    def rate_varies(self) -> bool:
        """Whether the learning rate differs between seeds, or changes from step to step."""
        scheduled = self.experiment.optimizer.schedule != "constant"
        return scheduled or len({*self.learning_rates}) > 1

    def rates(self, step: int) -> np.ndarray:
        """The learning rate of each seed in the update that follows `step` others."""
        return np.array(self.learning_rates) * float(
            self.experiment.optimizer.schedule_factor()(step)
        )

    @property
    def name(self) -> str:
        """CONFIG-HASH, the same for the same config, in every process."""
        text = json.dumps(schema.named(self.config), sort_keys=True)
        return f"{self.config['name']}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def resolve(config: ConfigDict | dict[str, Any]) -> Settings:
    """Checks every field of a config and builds the run that it describes.

    Args:
      config: what a file in `configs` returns, or a stored config, which has a schema.

    Raises:
      FieldError: a field is missing or unknown, or its value is not allowed.
    """
    raw = schema.checked(config)
    fields_of = lambda section: dict(raw[section])
    name = raw["name"]
    if (
        not isinstance(name, str)
        or not name
        or not name.replace("_", "").replace("-", "").isalnum()
        or len(name.encode()) > 200  # file systems allow a little more
    ):
        raise FieldError("config.name", name, "a short name of letters, digits, - and _")

    task = within("config.task", resolve_task, fields_of("task"))
    if raw["task"]["name"] in SOURCES:
        # The data are part of the run; where they lie is not, but is to be found from anywhere.
        if path := raw["task"].get("path"):
            raw["task"]["path"] = str(existing_file(path).absolute())
        if digest := data_digest(raw["task"]["name"], path):
            raw["task"]["sha256"] = digest
    earlier = raw["schema"] < schema.SCHEMA
    build = within("config.model", model_builder, task, raw["model"])
    optimizer_fields = fields_of("optimizer")
    peak = within(
        "config.optimizer", _learning_rate, "learning_rate", optimizer_fields.pop("learning_rate")
    )
    clip = within("config.optimizer", _clip_norm, "clip_norm", optimizer_fields.pop("clip_norm"))
    seeds, learning_rates, clip_norms = within(
        "config.population", _population, peak, clip, **raw["population"]
    )
    budget, loop = within("config.train", _loop, fields_of("train"))
    optimizer = within("config.optimizer", _optimizer, budget["steps"], earlier, **optimizer_fields)
    if isinstance(task, Dataset):
        loop["evaluation_examples"] = within("config.train", _whole, task, loop)
    experiment = within(
        "config.train", Experiment, task=task, build=build, optimizer=optimizer, **loop
    )
    if not isinstance(task, Dataset):  # whose data would stay in memory
        with contextlib.suppress(TypeError):  # a task of one's own may hold what has no hash
            experiment = _known(*vars(experiment).values())
    # Finds bad sizes that only show when the model is built (with shapes only).
    within("config.model", lambda: experiment.parameters)
    within("config.train", experiment.check)
    if isinstance(task, NextStep) and raw["model"]["bidirectional"] and not earlier:
        allowed = "false: from behind, a model hears the step that it is to predict"
        raise FieldError("config.model.bidirectional", True, allowed)
    return Settings(raw, experiment, seeds, learning_rates, clip_norms, **budget)


@functools.lru_cache(maxsize=64)
def _known(*values: Any) -> Experiment:
    """One object for equal experiments, so that a process compiles their programs once."""
    return Experiment(*values)


def resolve_task(section: dict[str, Any]) -> Task:
    """The task that a section such as {"name": "adding", "length": 100} describes."""
    options = {name: frozen(value) for name, value in section.items()}
    name = fields.one_of("name", options.pop("name", None), {**TASKS, **SOURCES})
    known = defaults(name)
    digest = options.pop("sha256", None) if name in SOURCES and "path" in known else None
    check_names(options, list(known))
    needed = [option for option, default in known.items() if default is NEEDED]
    if missing := [option for option in needed if option not in options]:
        raise schema.absent(missing)
    if name in SOURCES:
        return load_task(name, digest, **options)
    try:
        return TASKS[name](**options)
    except FieldError as error:  # the allowed values depend on the task
        allowed = f"{error.allowed} (task.name = {section['name']!r})"
        raise FieldError(error.field, error.value, allowed) from None


def _optimizer(steps: int, earlier: bool, **options: Any) -> Optimizer:
    """The optimizer, with a schedule that decays until the last step of the run, or later.

    Args:
      earlier: the config is that of a run of an earlier schema, which let a schedule end before
        the run, whose last steps then changed nothing. Such a run can still be read.
    """
    field, given = "decay_steps", options["decay_steps"]
    decays = str(options["schedule"]).endswith("cosine")
    if not (decays and type(given) is int):
        return Optimizer(**options)
    if given == 0 and type(warmup := options["warmup_steps"]) is int and warmup >= steps:
        raise FieldError("warmup_steps", warmup, f"below train.steps ({steps})")
    if 0 < given < steps and not earlier:
        raise FieldError(field, given, f"0, to follow train.steps, or at least those ({steps})")
    return Optimizer(**{**options, field: given or steps})


def _learning_rate(field: str, value: float) -> float:
    return fields.real(field, value, above=0)


def _clip_norm(field: str, value: float) -> float:
    return fields.real(field, value, least=0) or math.inf


def _population(
    peak: float, clip: float, seeds: int, first_seed: int, learning_rates: Any, clip_norms: Any
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
    fields.integer("seeds", seeds, 1, 10_000)
    fields.integer("first_seed", first_seed, 0, fields.LARGEST - seeds)

    def each(field, values, default, check):
        allowed = f"empty, or a list of {fields.counted(seeds, 'number')}"
        values = fields.sequence(field, values, allowed)
        if values and len(values) != seeds:
            raise FieldError(field, values, allowed)
        return tuple(check(field, value) for value in values) or (default,) * seeds

    return (
        tuple(range(first_seed, first_seed + seeds)),
        each("learning_rates", learning_rates, peak, _learning_rate),
        each("clip_norms", clip_norms, clip, _clip_norm),
    )


def _whole(task: Dataset, loop: dict[str, Any]) -> int:
    """The number of evaluation examples: with collected data, always the whole split."""
    given = loop["evaluation_examples"]
    if given not in (0, task.size):
        allowed = f"0: an evaluation takes the whole split, {fields.counted(task.size, 'example')}"
        raise FieldError("evaluation_examples", given, allowed)
    return task.size


def _loop(train: dict[str, Any]) -> tuple[dict[str, int], dict[str, Any]]:
    """The fields for the training loop, and those for `Experiment`."""
    log_every = fields.integer("log_every", train.pop("log_every"), 1)

    def multiple(field):
        value = fields.integer(field, train.pop(field), 1)
        if value % log_every:
            raise FieldError(field, value, f"a multiple of log_every ({log_every})")
        return value

    budget = {name: multiple(name) for name in ("steps", "checkpoint_every")}
    kept = fields.integer("checkpoints_kept", train.pop("checkpoints_kept"), 1)
    return {**budget, "checkpoints_kept": kept}, {"chunk": log_every, **train}


def default_workdir(settings: Settings) -> Path:
    """runs/CONFIG-HASH, so that the same command finds its run again."""
    return Path("runs") / settings.name
