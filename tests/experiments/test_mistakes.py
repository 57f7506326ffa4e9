"""Mistakes that people make on a command line: one line says what is wrong, nothing is written."""

import pytest

from tests.programs import ROOT, one_line, program, tiny

pytestmark = pytest.mark.usefixtures("least_effort")

RUN = f"--config={ROOT}/configs/adding.py"
SWEEP = f"--config={ROOT}/configs/sweeps/cells.py"
GRADIENTS = f"--config={ROOT}/configs/gradients.py"


def refused(name, *arguments, cwd=ROOT):
    """What a program says about arguments that it does not take."""
    found = program(name, *arguments, expect=2, cwd=cwd)
    assert one_line(found.stderr), found.stderr
    return found.stderr.removeprefix("error: ").rstrip()


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run that has no target."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    shown = program("train", RUN, f"--workdir={folder}", *tiny(**{"train.target": "None"}))
    return folder, shown.stdout


def test_measurements_of_gradients_do_not_go_into_somebody_elses_folder(tmp_path, finished):
    (tmp_path / "notes.md").write_text("years of work")
    for folder, stranger in ((tmp_path, "notes.md"), (finished[0], "checkpoints")):
        before = content(folder)
        told = refused("gradients", GRADIENTS, "--only=gru*", f"--workdir={folder}")
        assert told == f"{folder} holds {stranger!r}, but no measurements of gradients"
        assert content(folder) == before


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("train", [RUN, *tiny()]), ("sweep", [SWEEP]), ("gradients", [GRADIENTS, "--only=gru*"])],
)
def test_a_workdir_that_is_none(name, arguments, tmp_path):
    file = tmp_path / "notes.md"
    file.write_text("years of work")
    for folder in (file, file / "run", "/proc/run"):
        told = refused(name, *arguments, f"--workdir={folder}")
        assert told.startswith(f"--workdir={folder} cannot be made: ")
    assert content(tmp_path) == {file: b"years of work"}


@pytest.mark.parametrize("output", ["nowhere/page.html", "there"])
def test_a_page_that_cannot_be_written(output, tmp_path, finished):
    (tmp_path / "there").mkdir()
    told = refused("report", str(finished[0]), f"--output={tmp_path / output}")
    assert told.startswith("--output = '")
    assert told.endswith("must be a file in a folder that exists and may be written to")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
