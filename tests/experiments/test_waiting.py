"""What a sweep says of trials that come after others: which are not run, and why."""

import dataclasses
import json
import shutil

import pytest

from experiments import sweep as command
from experiments.sweeps.folder import SweepFolder, run_elsewhere
from experiments.sweeps.waiting import told
from experiments.system.files import RunError
from tests.programs import program
from tests.sweeping import pretend, rows, sweep_file

FIRST = "what has to solve its task first"


def sweep(add):
    add("a", {"task.length": 3})
    for length, name, before in ((4, "b", "a"), (5, "c", "b"), (6, "d", "c")):
        add(name, {"task.length": length}, after=(before,))
    add("e", {"task.length": 7}, after=("b", "a"))


def folder_of(path, ended, solved=""):
    """A folder in which some trials have ended, of which some have solved their task."""
    pretend(path, sweep, solves=lambda trial, _: 20 if trial.name in solved else None)
    for name in {*"abcde"} - {*ended}:
        shutil.rmtree(path / "trials" / name)
    return SweepFolder(path)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("ended", "solved", "only", "before", "after"),
    [
        ("", "", "ab", [f"waiting: 1 trial (b) for {FIRST}: a"], None),
        (
            "",
            "",
            "bcde",
            [f"not run: 4 trials (b and 3 more), since --only leaves out {FIRST}: a"],
            0,
        ),
        (
            "ab",
            "a",
            "cd",
            [f"not run: 2 trials (c and 1 more), since {FIRST} has not solved it: b"],
            0,
        ),
        ("ab", "ab", "acde", [f"waiting: 1 trial (d) for {FIRST}: c"], None),
        (
            "a",
            "",
            "abe",
            [f"not run: 2 trials (b and 1 more), since {FIRST} has not solved it: a"],
            None,
        ),
        ("abc", "ab", "d", [f"not run: 1 trial (d), since {FIRST} has not solved it: c"], 0),
        ("abcde", "", "abcde", [], 0),
        ("a", "a", "be", [], 0),
    ],
)
def test_each_cause_has_a_line(tmp_path, ended, solved, only, before, after):
    folder = folder_of(tmp_path / "sweep", ended, solved)
    trials = [trial for name, trial in folder.trials().items() if name in only]
    assert told(folder, trials, ended=False) == before
    if after == 0:
        assert told(folder, trials, ended=True) == before


@pytest.mark.quick
def test_what_has_failed_is_told_once_all_has_ended(tmp_path):
    folder = folder_of(tmp_path / "sweep", "a", "a")
    folder.fail("b", "its worker ended with status 1")
    trials = [*folder.trials().values()]
    waits = f"waiting: 2 trials (c and 1 more) for {FIRST}: b"
    assert told(folder, trials, ended=False) == [waits]  # it is run once more
    failed = f"not run: 2 trials (c and 1 more), since {FIRST} has failed: b"
    assert told(folder, trials, ended=True) == [failed]


class Launched:
    """A launcher whose trials end in a given order, one at each look; tells what has happened."""

    def __init__(self, folder, ended, order):
        self.folder, self.ended_folder, self.order, self.told = folder, ended, list(order), []

    def waiting(self):
        return set()

    def start(self, trials):
        self.told.append("+" + "".join(trial.name for trial in trials))

    def ended(self):
        name = self.order.pop(0)
        shutil.move(self.ended_folder / "trials" / name, self.folder.workdir(name))
        self.told.append(name)
        return {}


def test_what_waited_starts_as_soon_as_it_may(tmp_path, monkeypatch):
    """Though others, which it does not wait for, are still under way."""
    monkeypatch.setattr(command, "PAUSE", 0)
    ended = folder_of(tmp_path / "ended", "abcde", "ab")
    folder = SweepFolder(tmp_path / "sweep")
    folder.path.mkdir()
    trials = list(ended.trials().values())
    slow = dataclasses.replace(trials[3], after=())
    trials[3] = slow
    folder.open(trials)
    folder.fail("b", "its worker ended with status 1")  # in an earlier command; tried once more
    launched = Launched(folder, ended.path, "aebdc")
    assert command.run(folder, trials, launched, stop=lambda: 0) == 0
    assert launched.told == ["+ad", "a", "+be", "e", "b", "+c", "d", "c"]


def test_what_was_run_in_another_folder_is_not_run_again_and_counts(tmp_path):
    file = sweep_file(
        tmp_path / "sweep.py",
        """
        add("a", {"task.length": 3})
        add("b", {"task.length": 4}, after=("a",))
        """,
    )
    done, folder = tmp_path / "results.jsonl", tmp_path / "sweep"
    row = {"trial": "a", "status": "done", "summary": {"solved_step": [None, None]}}
    start = lambda *more: program(
        "sweep", f"--config={file}", f"--done={done}", f"--workdir={folder}", *more
    )
    done.write_text(json.dumps(row) + "\n")
    assert f"not run: 1 trial (b), since {FIRST} has not solved it: a" in start().stdout
    assert not any((folder / "trials").iterdir())
    row["summary"]["solved_step"][1] = 20
    done.write_text(json.dumps(row) + "\n")
    start()
    assert [each["trial"] for each in rows(folder)] == ["b"]
    done.write_text("".join(json.dumps(row | {"trial": name}) + "\n" for name in "ab"))
    for more in ((), ("--list",)):
        assert start(*more).stdout == f"nothing is left: {done} has every trial of --only=*\n"


@pytest.mark.parametrize("text", ["[1]", "{", '{"trial": "a", "status": "done"}'])
def test_another_file_is_refused(tmp_path, text):
    done = tmp_path / "results.jsonl"
    done.write_text(text)
    with pytest.raises(RunError, match=r"must be the results\.jsonl of a sweep"):
        run_elsewhere(str(done))
    with pytest.raises(RunError, match="No such file"):
        run_elsewhere(str(tmp_path / "none"))
