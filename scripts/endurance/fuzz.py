"""Fills configs with nonsense; each case must trace, or be refused in one line that names it.

python -m scripts.endurance.fuzz --cases=50000    writes counts of the outcomes to
                                                  results/fuzz.json
"""

import contextlib
import functools
import importlib
import math
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
from absl import flags
from hypothesis import strategies as st

from experiments import usage
from experiments.figures import families
from experiments.runs.state import abstract_state
from experiments.settings.options import settable
from experiments.settings.resolution import Settings, resolve
from experiments.system import commandline
from experiments.system.files import RunError
from experiments.training.memory import check_memory
from gru_jax import CELLS, FieldError, fields, training
from gru_jax.devices import make_mesh
from scripts.endurance import cases
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "fuzz.json"
TASKS = ("adding", "variable_copy", "flip_flop")
WORDS = (
    *(*CELLS, "Gru", "gruu", "sigmoid", "relu", "learned", "open", "keep"),
    *("all", "none", "one_hot", "auto", "float16", "bfloat16", "adam", "sgd", "cosine", "identity"),
    *("warmup_cosin", "loss", "accuracy", "correct", "hochreiter", "tcn", "adding", "copy_memory"),
    *("", " ", "None", "nan", "inf", "-inf", "True", "yes", "0", "-1", "1e400", "0x10", "1_000"),
    *("()", "(8,)", "[8, 'a']", "(8, 8)", "(0,)", "{}", "{'steps': 50}", "(1", "3 4", "-0.0"),
    *("../../etc", "a" * 300, "٣", "'; exit", "\n", "\x1b[31m", "$HOME", "__import__('os')"),
)
SIZES = st.integers(-3, 300) | st.sampled_from([10**4, 10**6, 10**9, 2**31 - 1, 2**31, 10**30])
NUMBERS = SIZES | st.floats() | st.floats(1e-6, 1.0)

Case = tuple[str, list[tuple[str, Any]]]


def main() -> int:
    return cases.main(__doc__, fuzz, RESULTS, cases=50_000)


def fuzz(count: int, seed: int) -> cases.Outcomes:
    """Tries this many cases and counts their outcomes.

    Raises:
      AssertionError: an outcome is not allowed; hypothesis shows the smallest such case.
    """
    here = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            counts = cases.outcomes(CASES, attempt, count, seed)
            assert not list(Path(folder).iterdir()), "something was left on disk"
        finally:
            os.chdir(here)
    return counts


def attempt(case: Case) -> str:
    """The outcome of a case, which must be one of those that are promised."""
    complaint = refusal(case)
    if complaint is None:
        return "accepted, and traces"
    assert "\n" not in complaint, complaint
    if complaint.startswith("config needs at least"):
        return "refused: needs more memory than there is"
    assert "must be " in complaint, complaint
    given = [("model.cell", cell) for cell in CELLS]  # no complaint is about these
    _assert_named(complaint, [change for change in case[1] if change not in given])
    if "no such field" in complaint:
        return "refused: no such field" + ", a near name is given" * ("did you mean" in complaint)
    return "refused: a value that is not allowed"


def _assert_named(complaint: str, changes: list[tuple[str, Any]]) -> None:
    """The complaint is about a changed field and shows its value, or mentions such a field."""
    field = complaint.split(" = ")[0].removeprefix("config.")
    about = [value for path, value in changes if f"{path}.".startswith(f"{field}.")]
    if any(path == field for path, _ in changes):
        assert any(_shows(complaint, value) for value in about), (complaint, about)
    elif not about:  # it is wrong because of another field
        names = {path.split(".")[-1].split("[")[0] for path, _ in changes}
        assert any(name in complaint for name in names), (complaint, changes)


def _shows(complaint: str, value: Any) -> bool:
    """Whether the complaint shows the value, as given or as the number it was parsed to."""
    shown = complaint.partition(" = ")[2].partition(": must be")[0]
    if not isinstance(value, str):
        # For a list or a section, the complaint may show one element.
        return hasattr(value, "__len__") or fields.short(value) == shown
    if value.strip()[:1] in tuple("([{") or shown in ("True", "False"):
        return True
    with contextlib.suppress(ValueError):
        number, read = float(value), float(shown.strip("'(),"))
        return number == read or (math.isnan(number) and math.isnan(read))
    return repr(value)[1:-1][:25] in shown


def refusal(case: Case) -> str | None:
    """The complaint of the programs; None if the case is accepted and traces."""
    try:
        trace(settings_of(case))
    except (FieldError, RunError, flags.Error) as error:
        return str(error)
    return None


def settings_of(case: Case) -> Settings:
    task, changes = case
    if all(isinstance(value, str) for _, value in changes):
        argv = arguments(case)
        values = flags.FlagValues()
        commandline.define(usage.CONFIG, values)
        commandline.parse(argv, values, usage.TRAIN, settable)
        return resolve(values.config)
    config = default(task)
    for path, value in changes:
        *sections, leaf = path.split(".")
        place: Any = config
        for name in sections:
            place = place.setdefault(name, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict):
            place[leaf] = value
    return resolve(config)


def arguments(case: Case) -> list[str]:
    """The command line of a case in which all values are text."""
    overrides = [f"--config.{path}={value}" for path, value in case[1]]
    return ["train", f"--config={ROOT}/configs/{case[0]}.py", *overrides]


def trace(settings: Settings) -> None:
    """Traces everything that training would compile, with shapes only."""
    mesh = make_mesh(*settings.mesh_sizes)
    check_memory(settings, mesh)
    experiment, state = settings.experiment, abstract_state(settings)
    for program in (training.train_chunk, training.evaluate):
        jax.eval_shape(functools.partial(program, experiment, mesh), state)


def default(task: str) -> dict[str, Any]:
    """The config from which cases start."""
    config = importlib.import_module(f"configs.{task}").get_config().to_dict()
    config["model"]["cell"] = families.simplest()
    return config


def paths(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every field and section by its path, with its default."""
    found = {}
    for name, value in config.items():
        found[prefix + name] = value
        if isinstance(value, dict):
            found |= paths(value, f"{prefix}{name}.")
    return found


def _sensible(default: Any) -> st.SearchStrategy[Any]:
    """Values of the field's type, many of which are allowed."""
    if isinstance(default, bool):
        return st.booleans()
    if isinstance(default, int):
        return st.sampled_from([0, 1, 2, 50, 100, 2000]) | st.integers(1, 300)
    if isinstance(default, float) or default is None:
        return st.floats(0, 100) | st.floats(0, 1)
    if isinstance(default, tuple):
        return st.lists(st.integers(1, 64), min_size=1, max_size=3)
    return st.sampled_from(WORDS)


def _misspelt(path: str) -> st.SearchStrategy[str]:
    place = st.integers(0, len(path) - 1)
    return st.one_of(
        place.map(lambda i: path[:i] + path[i + 1 :]),
        place.map(lambda i: path[: i + 1] + path[i:]),
        st.builds(lambda i, letter: path[:i] + letter + path[i:], place, st.sampled_from("xyz_0")),
        st.just(path + ".x"),
        st.just(path + "[0]"),
    ).filter(bool)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
VALUES = st.one_of(
    st.sampled_from(WORDS), NUMBERS.map(str), TEXT, st.lists(NUMBERS, max_size=3).map(str)
)
OBJECTS = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.sampled_from(WORDS) | TEXT | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("steps", "cell", "x")), inner, max_size=2)
        | st.frozensets(st.integers(), max_size=2)
    ),
    max_leaves=4,
)


@functools.cache
def _known(task: str) -> dict[str, Any]:
    return paths(default(task))


@st.composite
def _cases(draw: Any) -> Case:
    task = draw(st.sampled_from(TASKS))
    known = _known(task)
    objects = draw(st.integers(0, 2)) == 0
    changes = [] if objects else [("model.cell", families.simplest())]
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(known)))
        section = path.split(".")[1:2]
        if section and section[0] in CELLS:  # a cell's fields may only be set where it is chosen
            changes += [("model.cell", *section)]
        value = draw(_sensible(known[path]) | (OBJECTS if objects else VALUES))
        if draw(st.integers(0, 5)) == 0:
            path = draw(_misspelt(path))
        changes.append((path, value if objects else str(value)))
    return task, changes


CASES = _cases()


if __name__ == "__main__":
    sys.exit(commandline.guarded(main))
