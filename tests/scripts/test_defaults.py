"""What docs/tasks.md and the docstrings of configs say of the committed runs."""

import importlib
import inspect
import itertools
import re

import pytest

from experiments.settings.resolution import resolve
from gru_jax.tasks.dataset import Dataset
from scripts.paper import __main__ as documentation
from scripts.paper import defaults, tasks


def synthetic():
    """Names of the configs of tasks that make their own examples."""
    for name in sorted(path.stem for path in (defaults.ROOT / "configs").glob("*.py")):
        get_config = getattr(importlib.import_module(f"configs.{name}"), "get_config", None)
        if get_config and not inspect.signature(get_config).parameters:
            config = get_config().to_dict()
            named = config["task"].get("name") == name
            if named and not isinstance(resolve(config).experiment.task, Dataset):
                yield name


def test_every_synthetic_task_says_what_to_expect():
    assert sorted(tasks.CONFIGS) == [*synthetic()]


def test_every_run_says_what_it_takes_to_repeat_it():
    found = defaults.load()
    assert list(found["runs"]) == list(defaults.RUNS)
    assert list(found["gates"]) == list(defaults.GATED)
    for run in itertools.chain(found["runs"].values(), found["gates"].values()):
        assert len(run["summary"]["seeds"]) == 8
        assert len(run["made"]["commit"]) == 40
        assert {"jax", "flax"} <= set(run["made"]["packages"])
    told = {
        name: run["command"].split(" --config=configs/")[1] for name, run in found["runs"].items()
    }
    assert told == {
        name: " ".join([f"{config}.py", *options])
        for name, (config, options) in defaults.RUNS.items()
    }
    short = found["gates"]["at the start of 30 words"]
    assert short["length"] == 30
    assert found["runs"]["verdict, start"]["length"] == 100


@pytest.mark.parametrize("config", tasks.CONFIGS)
def test_every_command_of_a_docstring_was_run(config):
    told = importlib.import_module(f"configs.{config}").__doc__.replace("\\\n   ", "")
    commands = re.findall(r"^python -m experiments.train --config=(\S+)((?: +--\S+)*)$", told, re.M)
    run = [options for name, options in defaults.RUNS.values() if name == config]
    assert [tuple(options.split()) for _, options in commands] == run
    assert {file for file, _ in commands} == {f"configs/{config}.py"}


def run(**changes):
    summary = {
        "eval": {"loss": {"mean": 0.1, "per_seed": [0.1, 0.1, 0.4, 0.4]}},
        "solved_step": [50, 100, None, None],
    }
    found = {"steps": 200, "metric": "loss", "target": 0.2, "seconds": 61, "summary": summary}
    return found | {"made": {"devices": 2}} | changes


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {},
            "2 of 4 seeds reach loss below 0.2, half of all by step 100; loss at the end "
            "0.25 (0.1..0.4); 61 s on 2 CPU cores.",
        ),
        ({"seconds": 600}, "10 min on 2 CPU cores."),
    ],
)
def test_what_to_expect_in_words(changes, words):
    assert tasks._expected(run(**changes)).endswith(words)


def test_a_config_that_says_something_else_is_found(monkeypatch):
    text = (defaults.ROOT / "configs" / "adding.py").read_text()
    assert tasks.docstring("adding", text) == text
    assert "8 of 8" in text
    assert tasks.docstring("adding", text.replace("8 of 8", "7 of 8")) == text
    slower = defaults.load()["runs"] | {"adding": run()}
    monkeypatch.setattr(tasks, "load", lambda: {"runs": slower})
    assert "configs/adding.py" in [
        page
        for page in documentation.CONFIGS
        if documentation.fresh(page) != (defaults.ROOT / page).read_text()
    ]
