"""The faults that are planted to try the tests: each can be planted, and what a try says is so."""

import json
import subprocess
import sys
import threading

import pytest

from experiments.system.files import RunError
from scripts.endurance import faults, mutants
from scripts.endurance.faults import Fault
from scripts.paper import reliability

FAULT = Fault("gru_jax/sums.py", "a + b", "a - b", "The sum is a difference.")
VERBOSE = """collecting ... collected 3 items

tests/test_sums.py::test_one PASSED                                      [ 33%]
tests/test_sums.py::test_two[a b - c] """


def write(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def check(monkeypatch, path):
    monkeypatch.setattr(mutants, "LIST", path)
    monkeypatch.setattr(sys, "argv", ["mutants", "--check"])
    return mutants.main()


def test_every_fault_can_be_planted(monkeypatch, capsys):
    assert check(monkeypatch, mutants.LIST) == 0
    assert capsys.readouterr().err == ""
    found = faults.read(mutants.LIST)
    assert len(found) >= 64
    assert all(fault.why.endswith(".") for fault in found)


@pytest.mark.parametrize(
    ("text", "after", "complaint"),
    [
        (None, "a - b", "there is no such file"),
        ("a * b", "a - b", "must occur once in the file, occurs 0 times"),
        ("a + b, a + b", "a - b", "must occur once in the file, occurs 2 times"),
        ("a + b", "a + b", "equals after"),
        ("a + b", "a - ", "is not Python"),
    ],
)
def test_a_fault_that_cannot_be_planted_is_refused(
    text, after, complaint, tmp_path, monkeypatch, capsys
):
    if text is not None:
        write(tmp_path, {FAULT.file: text})
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    listed = tmp_path / "mutants.toml"
    listed.write_text(f'[[fault]]\nfile = "{FAULT.file}"\nbefore = "a + b"\n')
    with listed.open("a") as file:
        file.write(f'after = "{after}"\nwhy = "It is wrong."\n')
    assert check(monkeypatch, listed) == 2
    printed = capsys.readouterr().err
    assert complaint in printed
    assert printed.startswith("error: mutants.toml: gru_jax/sums.py: ")
    assert printed.count("\n") == 1


ENTRY = '[[fault]]\nfile = "x"\nbefore = "a"\nafter = "b"\nwhy = "c"\n'


@pytest.mark.parametrize("text", ["fault = 1", "[[fault", "", ENTRY + 'more = "d"', ENTRY + ENTRY])
def test_what_is_no_list_of_faults_is_refused(text, tmp_path):
    path = tmp_path / "mutants.toml"
    path.write_text(text)
    with pytest.raises(RunError, match=r"mutants\.toml"):
        faults.read(path)


def test_the_copy_is_restored(tmp_path):
    write(tmp_path, {FAULT.file: "a + b"})
    path = tmp_path / FAULT.file
    seen = []

    def stopped():
        with faults.planted(FAULT, tmp_path):
            seen.append(path.read_text())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert seen == ["a - b"]
    assert path.read_text() == "a + b"


@pytest.mark.parametrize(
    ("status", "printed", "expected"),
    [
        (0, "", ("passed", "")),
        (5, "nothing was selected", ("passed", "")),
        (
            1,
            "FAILED tests/a.py::test_x[1 2] - assert 1 == 2\n",
            ("failed", "tests/a.py::test_x[1 2]"),
        ),
        (1, "ERROR tests/a.py::test_x - KeyError\n", ("failed", "tests/a.py::test_x")),
        (2, "ERROR tests/a.py - ImportError\n", ("failed", "tests/a.py")),
        (None, VERBOSE, ("hangs", "tests/test_sums.py::test_two[a b - c]")),
        (-11, VERBOSE, ("crashes", "tests/test_sums.py::test_two[a b - c]")),
    ],
)
def test_the_test_that_does_not_pass_is_found(status, printed, expected):
    assert faults.outcome(status, printed) == expected


@pytest.mark.parametrize("status", [1, 3, 4, None, -9])
def test_a_pytest_that_ran_no_test_is_an_error(status):
    with pytest.raises(RunError, match="no module"):
        faults.outcome(status, "no module named pytest")


def test_tests_that_mirror_a_file_come_first():
    tests = [f"tests/{name}.py" for name in ("a/test_x", "gru_jax/test_cells", "gru_jax/test_gru")]
    found = faults.by_distance("gru_jax/cells/gru.py", [*tests, "gru_jax"])
    assert found == [[tests[2], tests[1]], ["gru_jax"], [tests[0]]]
    assert faults.by_distance("scripts/paths.py", tests[:1]) == [tests[:1]]


def test_tests_that_do_not_import_a_file_are_not_tried_on_it(tmp_path):
    files = {
        "code/__init__.py": "from code.shown import x",
        "code/shown.py": "",
        "code/deep/__init__.py": "",
        "code/deep/inner.py": "import math",
        "code/last.py": "def f():\n    from code.deep import inner",
        "tests/conftest.py": "import tests.helpers",
        "tests/helpers.py": "",
        "tests/test_shown.py": "import code",
        "tests/test_inner.py": "from code import last",
        "tests/test_programs.py": "import os.path, subprocess",
        "tests/test_nothing.py": "import json",
    }
    write(tmp_path, files)
    tests = [name for name in files if "test_" in name]
    reaching = lambda file: faults.Imports(tmp_path).reaching(file, [*tests, "code"])
    shown, inner, programs, _ = tests
    assert reaching("code/shown.py") == [shown, inner, programs, "code"]
    assert reaching("code/deep/inner.py") == [inner, programs, "code"]
    assert reaching("code/deep/__init__.py") == [inner, programs, "code"]
    assert reaching("tests/helpers.py") == [*tests, "code"][:4]
    assert reaching("data.toml") == [*tests, "code"]
    importing = lambda file: faults.Imports(tmp_path).importing(file, [*tests, "code"])
    assert importing("code/last.py") == [inner]
    assert importing("code/__init__.py") == [shown, inner]
    assert importing("code/shown.py") == []


def test_no_test_of_the_library_meets_a_fault_of_the_programs():
    imports = faults.Imports(mutants.ROOT)
    tests = [f"tests/gru_jax/test_{name}.py" for name in ("cells", "scan", "recurrence")]
    assert imports.reaching("experiments/sweep.py", [*tests, "gru_jax"]) == []
    assert imports.reaching("gru_jax/cells/gru.py", [*tests, "gru_jax"]) == [*tests, "gru_jax"]
    program = "tests/experiments/test_sweep.py"
    assert imports.reaching("experiments/sweep.py", [program]) == [program]


def test_a_fault_that_was_tried_at_a_commit_is_known(tmp_path, monkeypatch):
    made = {"commit": "one", "modified": False}
    monkeypatch.setattr(mutants, "environment", lambda: dict(made))
    path = tmp_path / "mutants.json"
    book = mutants.Book(path, [FAULT])
    assert not book.knows(FAULT)
    book.add(FAULT, {"test": None, "quick": None, "how": "passed", "seconds": 1.0})
    assert mutants.Book(path, [FAULT]).knows(FAULT)
    assert not mutants.Book(path, [FAULT]).knows(Fault(*"abcd"))
    made["modified"] = True
    book = mutants.Book(path, [FAULT])
    assert book.knows(FAULT)
    book.add(FAULT, {"test": None, "quick": None, "how": "passed", "seconds": 1.0})
    assert not mutants.Book(path, [FAULT]).knows(FAULT)


def test_the_tests_that_have_caught_faults_of_a_folder_are_likely(tmp_path):
    each = [Fault(f"a/{name}.py", "x", str(number), "") for number, name in enumerate("bcde")]
    elsewhere = Fault("b/a.py", "x", "y", "")
    book = mutants.Book(tmp_path / "mutants.json", [*each, elsewhere])
    assert book.likely("a/z.py") == []
    caught = ("t/two.py::t[1]", "t/one.py::t", "t/two.py::u", None)
    for fault, test in zip(each, caught, strict=True):
        book.rows[fault] = {"test": test}
    book.rows[elsewhere] = {"test": "t/three.py::t"}
    assert book.likely("a/z.py") == ["t/two.py", "t/one.py"]


def small_project(tmp_path, monkeypatch):
    """A lane with the copy of a project of one function and one test."""
    root = tmp_path / "root"
    monkeypatch.setattr(mutants, "ROOT", root)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    tested = "from gru_jax.sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    write(
        root,
        {
            "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-q'\nmarkers = ['quick']\n",
            "gru_jax/__init__.py": "",
            FAULT.file: "def add(a, b):\n    return a + b\n",
            "tests/test_sums.py": tested,
            "untracked": "",
        },
    )
    for command in (["init"], ["add", "gru_jax", "tests", "pyproject.toml"]):
        subprocess.run(["git", *command], cwd=root, check=True, capture_output=True)
    book = mutants.Book(tmp_path / "mutants.json", [FAULT])
    return mutants.Lane(tmp_path / "lane", tmp_path / "compiled", 60, threading.Event(), book)


def test_a_small_project(tmp_path, monkeypatch):
    lane = small_project(tmp_path, monkeypatch)
    assert not (lane.tree / "untracked").exists()
    found = lane.attempt(FAULT)
    assert found["test"] == "tests/test_sums.py::test_add"
    assert (found["quick"], found["how"]) == (None, "failed")
    assert "a + b" in (lane.tree / FAULT.file).read_text()


def test_a_test_that_fails_without_the_fault_is_left_out(tmp_path, monkeypatch, capsys):
    lane = small_project(tmp_path, monkeypatch)
    broken = ("failed", "tests/test_sums.py::test_broken")
    calls = []

    def pytest_of(*arguments):
        calls.append(arguments)
        deselected = f"--deselect={broken[1]}" in arguments
        return ("passed", "") if deselected else broken

    monkeypatch.setattr(lane, "_pytest", pytest_of)
    assert lane.attempt(FAULT)["test"] is None
    assert len(calls) == 4
    assert f"{broken[1]} does not pass without the fault either" in capsys.readouterr().err
    monkeypatch.setattr(lane, "_pytest", lambda *_: broken)
    with pytest.raises(RunError, match="repair it first"):
        lane.attempt(FAULT)


def test_a_stopped_lane_ends_at_once(tmp_path, monkeypatch):
    lane = small_project(tmp_path, monkeypatch)
    lane._stop.set()
    with pytest.raises(mutants.StoppedError):
        lane.attempt(FAULT)
    assert "a + b" in (lane.tree / FAULT.file).read_text()


def test_the_page_and_the_row_about_faults(tmp_path, monkeypatch):
    rows = [
        {"test": "tests/a.py::test_x[a|b]", "quick": None, "how": "hangs"},
        {"test": "tests/b.py::test_y", "quick": "tests/b.py::test_y", "how": "failed"},
        {"test": None, "quick": None, "how": "passed"},
    ]
    about = {"file": "gru_jax/sums.py", "why": "It is wrong.", "commit": "0123456789"}
    made = {"command": "python -m x", "commit": "0123456789", "python": "3", "packages": {}}
    path = tmp_path / "mutants.json"
    path.write_text(json.dumps({"faults": [about | row for row in rows], "environment": made}))
    monkeypatch.setattr(mutants, "RESULTS", path)
    page = reliability.faults()
    assert "| `tests/a.py::test_x[a\\|b]` (hangs) |  |" in page
    assert "| `tests/b.py::test_y` | yes |" in page
    assert "| nothing |  |" in page
    caught = "2 are caught by `make test`, 1 of these by `make quick`; not caught: It is wrong."
    left = len(faults.read(mutants.LIST)) - 3
    more = f"3 faults; not tried: {left} more of the list"
    assert f"| {more} | {caught} (`gru_jax/sums.py`) |" in reliability.table()
    assert f"Here are {more}." in page
    monkeypatch.setattr(mutants, "RESULTS", tmp_path / "none.json")
    assert "faults.md" not in reliability.table()
