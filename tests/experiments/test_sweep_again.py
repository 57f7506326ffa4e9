"""A sweep whose command is given again: what is queued, held, unfinished or gone meanwhile."""

import json
import os

import pytest

from experiments import sweep as command
from experiments.runs.records import read_summary
from experiments.sweeps import worker
from experiments.sweeps.estimates import Progress
from experiments.sweeps.folder import FAILED, WAITING, State, SweepFolder
from experiments.sweeps.launchers import SlurmLauncher
from experiments.system.lock import held
from tests.programs import one_line, program
from tests.sweeping import pretend, rows, sweep_file, trials

pytestmark = pytest.mark.usefixtures("least_effort")


def commands(path, monkeypatch, **scripts):
    """Programs of a cluster, by their names."""
    for name, script in scripts.items():
        (path / name).write_text(f"#!/bin/sh\n{script}\n")
        (path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(path), prepend=os.pathsep)


@pytest.mark.parametrize(
    ("answer", "queued"), [("echo 7", {"0"}), ("exit 1", {"0", "1"}), ("", set())]
)
def test_jobs_are_taken_over_also_where_the_queue_does_not_answer(
    tmp_path, monkeypatch, answer, queued
):
    commands(tmp_path, monkeypatch, sbatch="exit 1", squeue=answer)
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "jobs.json").write_text('{"7": ["0"], "8": ["1"]}')
    assert SlurmLauncher(SweepFolder(tmp_path), {}).waiting() == queued


def test_a_cluster_is_not_asked_for_nothing(tmp_path, monkeypatch):
    commands(tmp_path, monkeypatch, sbatch="exit 1", squeue="exit 1")
    launcher = SlurmLauncher(SweepFolder(tmp_path), {})
    assert launcher.waiting() == set()
    launcher.start([])
    assert launcher.ended() == {}
    assert not (tmp_path / "slurm").exists()


class Queued:
    """A launcher of which an earlier command has queued a trial; all of them end at once."""

    def __init__(self, folder, queued):
        self.folder, self.queued, self.started = folder, {queued}, []

    def waiting(self):
        return self.queued

    def start(self, given):
        self.started += [trial.name for trial in given]

    def ended(self):
        for name in {*self.started, *self.queued}:
            self.folder.fail(name, "seen")
        return {}


@pytest.mark.parametrize("after", [(), ("done",)])
def test_what_is_queued_is_not_started_and_the_time_left_counts_what_is_tried_again(
    tmp_path, monkeypatch, after
):
    shown = []

    class Display(command.Display):
        def __init__(self, trials, states):
            shown.append(states)
            super().__init__(trials, states)

    def sweep(add):
        add("done", {"task.length": 3})
        for length, name in ((4, "queued"), (5, "failed")):
            add(name, {"task.length": length}, after=after)

    monkeypatch.setattr(command, "Display", Display)
    monkeypatch.setattr(command, "PAUSE", 0)
    folder = SweepFolder(pretend(tmp_path / "sweep", sweep))
    for name in ("queued", "failed"):
        (folder.workdir(name) / "summary.json").unlink()
        folder.fail(name, "in an earlier command")
    launcher, found = Queued(folder, "queued"), [*folder.trials().values()]
    assert command.run(folder, found, launcher, stop=lambda: 0) == 1
    assert launcher.started == ["failed"]
    (states,) = shown
    assert states == {
        "done": State("done", 40),
        "queued": State(WAITING, 40),
        "failed": State(WAITING, 40),
    }
    settings = {trial.name: trial.settings for trial in found}
    assert Progress(settings, states | {"failed": State(WAITING)}).share(states) <= 1


@pytest.mark.quick
def test_files_that_are_removed_between_two_looks_are_no_error(tmp_path, monkeypatch):
    folder = SweepFolder(tmp_path)
    monkeypatch.setattr(type(tmp_path), "exists", lambda _: True)
    assert read_summary(tmp_path) is None
    assert folder.state("a").status not in ("done", FAILED)


def test_a_trial_that_fails_before_it_begins_leaves_the_others_alone(tmp_path):
    file = sweep_file(
        tmp_path / "sweep.py",
        """
        add("a", {"task.length": 3})
        add("b", {"task.length": 4})
        """,
    )
    (tmp_path / "sweep").mkdir()
    options = (f"--config={file}", f"--workdir={tmp_path / 'sweep'}")
    program("sweep", *options, "--only=b")
    (tmp_path / "sweep" / "trials" / "a").mkdir()
    (tmp_path / "sweep" / "trials" / "a" / "notes.txt").write_text("mine")
    program("sweep", *options, expect=1)
    failed, done = rows(tmp_path / "sweep")
    assert "holds 'notes.txt'" in failed["reason"]
    assert failed["commit"] is None
    assert done["status"] == "done"


def test_a_worker_waits_for_one_that_is_about_to_end_and_says_nothing_of_its_trial(
    tmp_path, monkeypatch, capsys
):
    (trial,) = trials({})
    folder = SweepFolder(tmp_path)
    folder.open([trial])
    workdir = folder.workdir("0")
    workdir.mkdir()
    train = lambda: worker.train_trials(folder, {"0": (trial.settings, workdir)}, lambda: 0)
    other = held(workdir)
    other.__enter__()
    monkeypatch.setattr(worker, "PATIENCE", 0)
    assert not train()
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err
    assert not (tmp_path / "failed" / "0.json").exists()
    monkeypatch.setattr(worker, "PATIENCE", 60)
    monkeypatch.setattr(worker.time, "sleep", lambda _: other.__exit__(None, None, None))
    assert train()
    assert folder.state("0") == State("done", 40)


def test_a_sweep_that_was_killed_on_another_host_goes_on_with_force(tmp_path):
    file = sweep_file(tmp_path / "sweep.py", 'add("a", {"task.length": 3})')
    folder = tmp_path / "sweep"
    (folder / "trials" / "a").mkdir(parents=True)
    options = (f"--config={file}", f"--workdir={folder}")
    far = json.dumps({"host": "far", "pid": 12})
    for held_folder in (folder, folder / "trials" / "a"):
        (held_folder / "lock.json").write_text(far)
    (folder / "sweep.json").write_text('{"trials": []}')
    refused = program("sweep", *options, expect=2).stderr
    assert one_line(refused)
    assert "in use by process 12 on 'far': --force takes over" in refused
    program("sweep", *options, "--force")
    (row,) = rows(folder)
    assert row["status"] == "done"
