"""What a sweep's file describes: its trials, found out before anything is run."""

import importlib
import inspect
import itertools
import re

import pytest

from configs import adding
from experiments.settings.trials import described, from_file, matched, overridden
from experiments.system.files import RunError
from gru_jax import FieldError
from scripts import reviews
from scripts.paper import published, results
from tests.collected import music, ratings
from tests.programs import ROOT, tiny_config
from tests.sweeping import FEW

BASE = tiny_config().to_dict()


def test_trials_are_resolved_in_the_order_in_which_they_are_added():
    def sweep(add):
        add("gru", {})
        add("lstm-2", {"model.cell": "lstm", "population.seeds": 2}, reference="gru")
        add("copy", {"task": {"name": "copy_memory", "length": 3}})

    gru, lstm, copy = described(BASE, sweep)
    assert [trial.name for trial in (gru, lstm, copy)] == ["gru", "lstm-2", "copy"]
    assert lstm.settings.config["model"]["cell"] == "lstm"
    assert lstm.settings.config["train"] == gru.settings.config["train"]
    assert lstm.reference == "gru"
    assert lstm.overrides == {"model.cell": "lstm", "population.seeds": 2}
    whole = {"name": "copy_memory", "length": 3, "protocol": "arjovsky"}
    assert copy.settings.config["task"] == whole
    assert tiny_config().to_dict() == BASE, "the base config was changed"


@pytest.mark.parametrize(
    ("cell", "layers", "parameters"),
    list(itertools.product(("gru", "lstm", "vanilla"), (1, 2), (100, 1000, 54_321))),
)
def test_matched_is_the_nearest_of_all_sizes(cell, layers, parameters):
    overrides = {"model.cell": cell, "model.hidden_sizes": (1,) * layers}
    sizes = matched(BASE, overrides, parameters)
    assert len(sizes) == layers
    assert len(set(sizes)) == 1

    def distance(units):
        changed = overridden(BASE, overrides | {"model.hidden_sizes": (units,) * layers})
        from experiments.settings.resolution import resolve

        return abs(resolve(changed).experiment.parameters - parameters)

    (units,) = set(sizes)
    assert all(distance(units) <= distance(other) for other in (max(units - 1, 1), units + 1))


def test_parameters_set_the_size_of_a_trial():
    (trial,) = described(BASE, lambda add: add("a", {"model.cell": "lstm"}, parameters=2000))
    (units,) = trial.settings.config["model"]["hidden_sizes"]
    assert trial.overrides["model.hidden_sizes"] == (units,)
    assert abs(trial.settings.experiment.parameters - 2000) < 100


def test_each_trial_has_the_size_that_its_own_cell_task_and_number_ask_for():
    asked = {
        "gru": ({}, 2000),
        "slow": ({"optimizer.learning_rate": 0.5}, 2000),
        "lstm": ({"model.cell": "lstm"}, 2000),
        "more": ({}, 4000),
        "copy": ({"task": {"name": "copy_memory", "length": 6}}, 2000),
    }

    def sweep(add):
        for name, each in asked.items():
            add(name, *each)

    found = described(BASE, sweep)
    sizes = {trial.name: trial.overrides["model.hidden_sizes"] for trial in found}
    assert sizes == {name: matched(BASE, *each) for name, each in asked.items()}
    assert len(set(sizes.values())) == 4


@pytest.mark.parametrize(
    ("added", "message"),
    [
        (
            [("a", {}), ("b", {"model.cell": "gru"})],
            r"trial = 'b': must be different from a: they are equal",
        ),
        ([("a", {}), ("a", {"model.cell": "lstm"})], "trial = 'a': must be a name that no other"),
        ([("a/b", {})], "trial = 'a/b': must be a short name of letters"),
        ([("..", {})], "trial = '..': must be a short name of letters"),
        ([(3, {})], "trial = 3: must be a short name of letters"),
        ([("a", {"model.cel": 1})], r"trial a: config.model.cel = 1: .*did you mean 'cell'"),
        ([("a", {"modle.cell": "gru"})], r"trial a: modle.cell = 'gru': .*did you mean 'model'"),
        (
            [("a", {"model.cell": "ggru"})],
            r"trial a: config.model.cell = 'ggru': .*did you mean 'gru'",
        ),
        ([("a", {}, 3)], r"trial a: parameters = 3: must be at least \d+, the size with one unit"),
        ([("a", {}, "many")], r"trial a: parameters = 'many': must be a whole number"),
        ([("a", {}, None, "b")], "trial a: reference = 'b': must be the name of another trial"),
        ([("gru", {}, None, "gru")], "trial gru: reference = 'gru': must be the name of another"),
    ],
)
def test_what_is_refused_in_one_line(added, message):
    def sweep(add):
        for arguments in added:
            add(*arguments)

    with pytest.raises(FieldError, match=message) as error:
        described(BASE, sweep)
    assert "\n" not in str(error.value)


def test_a_sweep_without_trials():
    with pytest.raises(RunError, match="adds no trials"):
        described(BASE, lambda _: None)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("add('a', {3: 4})", "AttributeError"),
        ("add('a', {'model.hidden_sizes': 3}, parameters=500)", "TypeError"),
        ("add(nam='a')", "TypeError: .*unexpected keyword argument 'nam'"),
        (
            "from configs.variants import product\n    product({'a': {'x': 1}}, {'b': {'x': 2}})",
            "ValueError: 'x' occurs twice",
        ),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_an_error_in_a_sweeps_file(tmp_path, code, message):
    file = tmp_path / "broken.py"
    file.write_text(f"def sweep(add):\n    {code}\n")
    with pytest.raises(RunError, match=rf"--config: .*broken\.py:\d: {message}"):
        from_file(str(file), tiny_config())


def test_a_trial_comes_after_others():
    def sweep(add):
        add("a", {})
        add("b", {"task.length": 7}, after=("a",))

    assert [trial.after for trial in described(BASE, sweep)] == [(), ("a",)]


@pytest.mark.parametrize("after", [("c",), ("b",), "a", 3])
def test_a_trial_comes_after_trials_that_were_added_before(after):
    def sweep(add):
        add("a", {})
        add("b", {"task.length": 7}, after=after)
        add("c", {"task.length": 8})

    with pytest.raises(FieldError, match=r"^trial b: after = .*must be (the name|a list)"):
        described(BASE, sweep)


def test_a_file_that_describes_one_run():
    with pytest.raises(RunError, match="has no sweep"):
        from_file(adding.__file__, adding.get_config())


SWEEPS = sorted(path for path in (ROOT / "configs" / "sweeps").glob("*.py") if path.stem[0] != "_")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_the_sweeps_that_are_committed(path, tmp_path):
    module = importlib.import_module(f"configs.sweeps.{path.stem}")
    takes_a_file = inspect.signature(module.get_config).parameters
    found = from_file(
        str(path), module.get_config(*[str(file(path.stem, tmp_path)) for _ in takes_a_file])
    )
    for trial in found:
        assert len(trial.settings.seeds) >= (4 if trial.name.startswith(FEW) else 8)
    by_name = {trial.name: trial for trial in found}
    for trial in found:
        if trial.reference:
            theirs = by_name[trial.reference].settings
            assert trial.settings.experiment.task == theirs.experiment.task
            assert trial.settings.steps == theirs.steps
            share = trial.settings.experiment.parameters / theirs.experiment.parameters
            assert 0.95 < share < 1.05
    shown = {*results.SWEEPS, *(row.sweep for row in published.rows())}
    if path.stem in shown:  # its committed results are those of all trials that were to be run
        committed = results.load(path.stem)
        expected = found
        # One that goes on from length to length, or from size to size.
        if any(trial.after for trial in found) or path.stem.startswith("cogscale"):
            solved = {each.row["trial"] for each in committed if any(each.solved_steps)}
            begun = {_problem(each.row["trial"]) for each in committed}
            begun_ones = [trial for trial in found if _problem(trial.name) in begun]
            expected = [t for t in begun_ones if not t.after or solved & {*t.after}]
        assert [each.row["trial"] for each in committed] == [trial.name for trial in expected]
        for each, trial in zip(committed, expected, strict=True):
            if path.stem not in (
                "sentiment",
                "verdicts",
            ):  # a model has as many embeddings as a file has words
                assert each.row["parameters"] == trial.settings.experiment.parameters
            assert each.row["budget"] == trial.settings.steps
            assert each.row["seeds"] == len(trial.settings.seeds)


def file(sweep, folder):
    """One such as the sweep takes."""
    if sweep == "verdicts":
        reviews.write(*[str(ratings(folder, 300))] * 2, folder / "reviews.jsonl")
        return folder / "reviews.jsonl"
    return ratings(folder) if sweep == "sentiment" else music(folder)[0]


def _problem(trial):
    """The part of its name that says the task and its length."""
    return "-".join(trial.split("-")[:2])


def test_the_example_of_the_documentation():
    page = (ROOT / "docs" / "sweeps.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(compile(code, "docs/sweeps.md", "exec"), names)  # our own page
    found = described(names["get_config"]().to_dict(), names["sweep"])
    assert [trial.name for trial in found] == ["T50-gru", "T50-lstm", "T100-gru", "T100-lstm"]
    assert [trial.reference for trial in found] == [None, "T50-gru", None, "T100-gru"]
