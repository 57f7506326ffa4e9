"""One version everywhere, and what is published and asked for fits the code."""

import re

import pytest
import yaml

import gru_jax
from tests.programs import ROOT


def read(path):
    return yaml.safe_load((ROOT / path).read_text())


def test_the_version_is_the_same_everywhere():
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]
    assert gru_jax.__version__ == newest == read("CITATION.cff")["version"]


def test_the_citation_has_what_its_format_demands():
    found = read("CITATION.cff")
    assert found["cff-version"] == "1.2.0"
    assert found["type"] == "software"
    assert found["license"] in (ROOT / "pyproject.toml").read_text()
    assert all(isinstance(found[field], str) for field in ("message", "title"))
    assert [set(author) for author in found["authors"]] == [{"name"}]


@pytest.mark.parametrize("name", ["bug", "result"])
def test_an_issue_has_the_environment_of_its_run(name):
    form = read(f".github/ISSUE_TEMPLATE/{name}.yml")
    assert {"name", "description", "body"} <= set(form)
    asked = {part["attributes"]["label"]: part["validations"]["required"] for part in form["body"]}
    assert asked["environment.json"]
    assert len({part["id"] for part in form["body"]}) == len(form["body"])
    written = "".join(path.read_text() for path in (ROOT / "experiments").rglob("*.py"))
    for file in re.findall(r"\w+\.json", str(form)):
        assert f'"{file}"' in written


@pytest.mark.parametrize("name", ["ci", "wheels"])
def test_a_workflow_runs_what_there_is(name):
    (job,) = read(f".github/workflows/{name}.yml")["jobs"].values()
    commands = "\n".join(step.get("run", "") for step in job["steps"])
    scripts = re.findall(r"\.ci/\w+", commands)
    assert scripts
    assert all((ROOT / script).stat().st_mode & 0o111 for script in scripts)
