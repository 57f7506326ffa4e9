"""Mistakes that people make on a command line: one line says what is wrong, nothing is written."""

import re

import pytest

from experiments.sweeps.folder import SweepFolder
from experiments.system import config_files, own
from experiments.system.files import RunError
from tests.programs import ROOT, one_line, program, tiny
from tests.sweeping import sweep_file

pytestmark = pytest.mark.usefixtures("least_effort")

RUN = f"--config={ROOT}/configs/adding.py"
SWEEP = f"--config={ROOT}/configs/sweeps/gates.py"
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


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """The file and the folder of a sweep that has ended."""
    folder = tmp_path_factory.mktemp("swept")
    file = sweep_file(folder / "two.py", 'add("a", {})\nadd("b", {"task.length": 7})')
    program("sweep", f"--config={file}", f"--workdir={folder / 'runs'}", "--workers=1")
    return file, folder / "runs"


def test_without_a_target_nothing_is_called_solved(finished):
    shown = finished[1]
    assert "evaluation loss" in shown
    assert "no target" in shown
    assert "solve" not in shown
    assert "reached" not in shown


def test_a_sweep_that_has_nothing_left_keeps_the_command_that_trained_it(swept):
    file, folder = swept
    before = SweepFolder(folder).command
    assert before.endswith("--workers=1")
    program("sweep", f"--config={file}", f"--workdir={folder}", "--only=a")
    assert SweepFolder(folder).command == before
    (folder / "trials" / "b" / "summary.json").unlink()
    program("sweep", f"--config={file}", f"--workdir={folder}", "--only=b")
    assert SweepFolder(folder).command.endswith("--only=b")


@pytest.mark.parametrize("name", ["evaluate", "gates"])
def test_a_sweep_in_place_of_a_run(name, swept):
    told = refused(name, f"--run={swept[1]}")
    first = swept[1] / "trials" / "a"
    assert told == f"{swept[1]} is a sweep: give one of its trials, such as {first}"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("evaluate", ["--lengths=6,6"], "--lengths = 6: must be given once"),
        ("evaluate", ["--lengths=6,,7"], "--lengths=6,,7 has an empty entry"),
        ("gates", ["--layer=1"], "--layer = 1: must be 0: the run has one layer"),
        ("gates", ["--seed=2"], "--seed = 2: must be a whole number, in 0..1"),
    ],
)
def test_what_a_run_does_not_have(name, arguments, message, finished):
    assert refused(name, f"--run={finished[0]}", *arguments) == message


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("sweep", [], "--config is missing: give one, such as --config=configs/sweeps/gates.py"),
        ("gradients", [], "--config is missing: give one, such as --config=configs/gradients.py"),
        ("sample", ["--run="], "--run is empty"),
        ("train", [RUN, *tiny(), "--workdir="], "--workdir is empty"),
        ("train", ["--config="], "--config is empty"),
        ("train", [RUN, *tiny(), "--import="], "--import is empty"),
        ("report", [""], "DIR... has an empty name"),
        (
            "evaluate",
            ["RUN"],
            "unexpected argument 'RUN': options start with --, such as --run=RUN",
        ),
        ("watch", ["--run=x", "--port=22x"], "--port = '22x': must be a whole number"),
        ("sample", ["--run=x", "--temperature=hot"], "--temperature = 'hot': must be a number"),
        ("sweep", [SWEEP, "--list", "--launcher=slrum"], "--launcher = 'slrum': must be one of"),
        ("sweep", [SWEEP, "--list", "--launcher=slurm", "--slurm=x=1"], "--slurm = 'x=1': must be"),
        (
            "sweep",
            [SWEEP, "--list", "--slurm=partition=gpu"],
            "--slurm = 'partition=gpu': must be left out without --launcher=slurm",
        ),
        (
            "sweep",
            [SWEEP, "--list", "--launcher=slurm", "--workers=2"],
            "--workers = 2: must be left out with --launcher=slurm",
        ),
        ("train", ["--describe=LSTM"], "(did you mean 'lstm'?)"),
        ("train", ["--describe=GRUCell"], "(did you mean 'gru'?)"),
        ("train", [RUN, *tiny(), "--config.model.cell=LSTM"], "(did you mean 'lstm'?)"),
    ],
)
def test_flags_and_their_values(name, arguments, message, tmp_path):
    assert message in refused(name, *arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_does_not_exist(tmp_path):
    (tmp_path / "adding.py").touch()
    missing = str(tmp_path / "addin.py")
    for flag in ("--config", "--import"):
        with pytest.raises(RunError) as caught:
            own.imported(missing, flag)
        near = tmp_path / "adding.py"
        assert str(caught.value) == f"{flag}: {missing} does not exist (did you mean '{near}'?)"


@pytest.mark.parametrize(
    ("arguments", "more", "message"),
    [("", ":foo", "takes nothing after the colon"), ("word", "", "needs an argument")],
)
def test_what_is_behind_the_colon(arguments, more, message, tmp_path):
    (tmp_path / "mine.py").write_text(f"def get_config({arguments}):\n    return {{}}\n")
    told = f"--config={tmp_path / 'mine.py'}{more}: this file {message}"
    with pytest.raises(RunError, match=f"^{re.escape(told)}"):
        config_files.configured(
            config_files.given([f"--config={tmp_path / 'mine.py'}{more}"]), config_files.none
        )


def test_a_wrong_word_for_a_trial(tmp_path):
    file = sweep_file(tmp_path / "wrong.py", 'add("a", {}, refernce="b")')
    told = refused("sweep", f"--config={file}", "--list")
    assert "TypeError: add() got an unexpected keyword argument 'refernce'" in told


def test_notes(swept, tmp_path):
    """A sweep's file in the place of a run's, and a run that has not ended."""
    file, folder = swept
    out = program("train", f"--config={file}", f"--workdir={tmp_path / 'run'}")
    assert out.stderr.startswith(f"note: {file} adds trials, which experiments.sweep runs; this")
    assert program("evaluate", f"--run={folder / 'trials' / 'a'}").stderr == ""
    (tmp_path / "run" / "summary.json").unlink()
    told = program("evaluate", f"--run={tmp_path / 'run'}").stderr
    end = "has not ended: these are its models after 40 of 40 steps\n"
    assert told == f"note: {tmp_path / 'run'} {end}"
