"""What a sweep says of trials that come after others: which are not run, and why."""

import shutil

import pytest

from experiments.sweeps.folder import SweepFolder
from experiments.sweeps.waiting import told
from tests.sweeping import pretend

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
