"""What the documentation shows runs, and its generated parts are those of results/."""

import doctest
import importlib
import operator
import re
from pathlib import Path

import pytest

import gru_jax

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_examples_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # what an example leaves on disk is not left here
    result = doctest.testfile(str(page), module_relative=False)
    assert result.failed == 0
    assert result.attempted > 0 or page.name not in ("README.md", "gru.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


def test_claims_name_tests_that_exist():
    files = (ROOT / "tests" / f"test_{kind}claims.py" for kind in ("", "measured_"))
    tests = "".join(file.read_text() for file in files)
    rows = re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "claims.md").read_text(), re.MULTILINE)
    assert rows
    assert all(re.search(rf"def test_(\d+_and_)*{row}_", tests) for row in rows), rows


def test_lines_of_the_tutorial_stand_where_the_page_says():
    table = (ROOT / "docs" / "gru.md").read_text().partition("## Where it stands in the code")[2]
    rows = re.findall(r"^\|[^|]+\| `([\w/]+)\.py` \| (.+) \|$", table, re.MULTILINE)
    assert len(rows) > 5
    for file, names in rows:
        module = importlib.import_module(file.replace("/", "."))
        for name in re.findall(r"`([\w.]+)`", names):
            # A caller may stand in another file.
            place = module if hasattr(module, name.partition(".")[0]) else gru_jax
            assert operator.attrgetter(name)(place), name


def test_nothing_committed_names_an_index_or_a_path_of_a_machine():
    pins = (ROOT / "requirements.txt").read_text()
    assert "--hash=sha256:" in pins
    assert "index-url" not in pins
    assert "://" not in pins
