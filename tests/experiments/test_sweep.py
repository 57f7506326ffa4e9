"""A sweep as a user runs it: real workers, real faults, real kills."""

import csv
import os
import shutil
import subprocess

import numpy as np
import pytest

from experiments.reports.results import entries
from experiments.runs import load
from experiments.runs.records import read_summary
from experiments.settings.resolution import resolve
from experiments.sweeps.folder import State, SweepFolder, _rows
from experiments.sweeps.launchers import LocalLauncher, SlurmLauncher, batches, slurm_options
from experiments.sweeps.worker import train_trials
from experiments.system import memory
from experiments.system.files import RunError
from gru_jax import FieldError
from tests.programs import one_line, program
from tests.sweeping import rows, sweep_file, trials

pytestmark = pytest.mark.usefixtures("least_effort")

MIXED = """
    add("gru", {})
    add("slow", {"optimizer.learning_rate": 1e-3}, reference="gru")
    add("wild", {"optimizer.learning_rate": 1e30, "optimizer.clip_norm": 0.0})
    add("huge", {"model.hidden_sizes": (10_000_000,)})
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A sweep of which two trials succeed, one diverges, and one does not fit the machine."""
    folder = tmp_path_factory.mktemp("sweep")
    file = sweep_file(folder / "mixed.py", MIXED)
    out = program("sweep", f"--config={file}", f"--workdir={folder / 'runs'}", expect=1)
    return file, folder / "runs", out


def test_one_that_fails_is_recorded_and_the_others_go_on(mixed):
    _, folder, out = mixed
    found = {row["trial"]: row for row in rows(folder)}
    assert list(found) == ["gru", "slow", "wild", "huge"]
    assert {name: row["status"] for name, row in found.items()} == {
        "gru": "done",
        "slow": "done",
        "wild": "diverged",
        "huge": "failed",
    }
    assert "no longer finite" in found["wild"]["reason"]
    assert "config needs at least" in found["huge"]["reason"]
    assert "failed: 2 of 4 trials" in out.stdout
    assert "4 trials: 2 done, 0 running, 2 failed" in out.stdout
    assert "Traceback" not in out.stdout + out.stderr


def test_every_trial_is_a_normal_run(mixed):
    _, folder, _ = mixed
    run = load(folder / "trials" / "slow")
    assert run.settings.learning_rates == (1e-3, 1e-3)
    assert run.summary["step"] == 40
    out = program("evaluate", f"--run={run.workdir}")
    assert "correct" in out.stdout


def test_results_say_what_they_depend_on(mixed):
    _, folder, _ = mixed
    gru, slow, *_ = rows(folder)
    assert slow["optimizer.learning_rate"] == 1e-3
    assert slow["reference"] == "gru"
    assert 0 <= slow["better"] <= 1
    assert slow["p"] == slow["p_holm"], "one comparison needs no correction"
    assert "p" not in gru
    for row in (gru, slow):
        run = read_summary(folder / "trials" / row["trial"])
        assert row["summary"] == run
        assert row["seeds"] == 2
        assert row["budget"] == 40
        losses = run["eval"]["loss"]["per_seed"]
        found = [row[f"loss_{part}"] for part in ("quarter", "median", "three_quarters")]
        np.testing.assert_allclose(found, np.percentile(losses, [25, 50, 75]))
        assert row["parameters"] == run["parameters"]
        assert {
            "commit",
            "modified",
            "device",
            "devices",
            "precision",
            "python",
            "packages",
        } <= row.keys()
        assert row["command"].startswith("python -m experiments.sweep --config=")
        assert row["command"].endswith(f" --only={row['trial']}")
        assert "jax" in row["packages"]
        assert resolve(row["config"])
    table = list(csv.DictReader((folder / "results.csv").read_text().splitlines()))
    assert [row["trial"] for row in table] == ["gru", "slow", "wild", "huge"]
    assert float(table[1]["loss_median"]) == slow["loss_median"]
    assert table[3]["loss_median"] == ""
    assert float(table[1]["p"]) == slow["p"], "a column that the first row does not have"


def test_started_again_it_runs_only_what_is_missing(mixed):
    file, folder, _ = mixed
    summaries = [folder / "trials" / name / "summary.json" for name in ("gru", "slow", "wild")]
    before = [path.stat().st_mtime_ns for path in summaries]
    results = rows(folder)
    log = folder / "logs" / "huge.log"
    tries = log.read_text().count("config needs")
    program("sweep", f"--config={file}", f"--workdir={folder}", expect=1)
    assert [path.stat().st_mtime_ns for path in summaries] == before
    assert log.read_text().count("config needs") == tries + 1, "the failed one was tried again"
    assert rows(folder)[:3] == results[:3]


def test_a_sweep_may_grow_but_no_trial_may_change(mixed, tmp_path):
    file, folder, _ = mixed
    other = sweep_file(tmp_path / "other.py", MIXED.replace("1e-3", "2e-3"))
    before = (folder / "sweep.json").read_bytes()
    out = program("sweep", f"--config={other}", f"--workdir={folder}", expect=2)
    assert one_line(out.stderr)
    assert "config.optimizer.learning_rate is 0.001 there and 0.002 here" in out.stderr
    assert (folder / "sweep.json").read_bytes() == before
    grown = sweep_file(
        tmp_path / "grown.py", MIXED + '    add("vanilla", {"model.cell": "vanilla"})\n'
    )
    program("sweep", f"--config={grown}", f"--workdir={folder}", "--only=vanilla")
    assert [row["trial"] for row in rows(folder)][-1] == "vanilla"
    program("sweep", f"--config={file}", f"--workdir={folder}", "--only=gru")  # as it was before


def test_list_shows_the_trials_and_runs_nothing(tmp_path):
    file = sweep_file(
        tmp_path / "listed.py",
        """
        for name, overrides in product(values("task.length", (5, 9), "T"), {"a": {}}).items():
            add(name, overrides, parameters=500)
        """,
    )
    out = program("sweep", f"--config={file}", f"--workdir={tmp_path / 'runs'}", "--list")
    assert "T5-a" in out.stdout
    assert "T9-a" in out.stdout
    assert "2 trials, at most about" in out.stdout
    assert not (tmp_path / "runs").exists()
    out = program("sweep", f"--config={file}", "--list", "--only=T9*")
    assert "T5-a" not in out.stdout


def test_trials_come_after_others_that_have_solved_their_task(tmp_path):
    """What comes after "solved" is run once that is over, and would allow a third."""
    file = sweep_file(
        tmp_path / "after.py",
        """
        easy, hopeless = {"train.target": 10.0}, {"train.target": 1e-30}
        add("solved", easy)
        add("hopeless", hopeless)
        add("second", {"task.length": 7, **hopeless}, after=("hopeless", "solved"))
        add("never", {"task.length": 8}, after=("hopeless",))
        add("third", {"task.length": 9}, after=("second",))
        """,
    )
    command = ["sweep", f"--config={file}", f"--workdir={tmp_path / 'runs'}"]
    first = "what has to solve its task first"
    alone = program(*command, "--only=second").stdout.splitlines()
    left_out = f"not run: 1 trial (second), since --only leaves out {first}: hopeless and 1 more"
    assert [line for line in alone if "second" in line] == [left_out] * 2
    out = program(*command, "--workers=1").stdout.splitlines()
    assert out[0] == f"waiting: 3 trials (second and 2 more) for {first}: hopeless and 1 more"
    unsolved = f"not run: 2 trials (never and 1 more), since {first} has not solved it"
    assert f"{unsolved}: hopeless and 1 more" in out[1:]
    assert {path.name for path in (tmp_path / "runs" / "trials").iterdir()} == {
        "solved",
        "hopeless",
        "second",
    }
    done = [row["trial"] for row in rows(tmp_path / "runs") if row["status"] == "done"]
    assert done == ["solved", "hopeless", "second"]
    assert SweepFolder(tmp_path / "runs").trials()["third"].after == ("second",)


def test_a_config_may_take_an_argument(tmp_path):
    file = sweep_file(tmp_path / "argument.py", 'add("a", {"optimizer.learning_rate": 0.02})')
    out = program("sweep", f"--config={file}:0", "--list", expect=2)
    assert "config.task.length = 0" in out.stderr
    out = program("sweep", f"--config={file}:7", "--list")
    assert "1 trial, at most" in out.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only=lstm"], "--only=lstm matches none of the 4 trials"),
        (["--launcher=slrum"], "--launcher = 'slrum': must be one of local, slurm"),
        (["--workers=-1"], "--workers = -1: must be a whole number"),
        (["--config.model.cell=gur"], "trial gru: config.model.cell = 'gur'"),
        (["--config=configs/adding.py"], "has no sweep(add)"),
        (["--config=configs/none.py"], "--config"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(mixed, tmp_path, arguments, message):
    options = [f"--config={mixed[0]}", f"--workdir={tmp_path / 'runs'}", *arguments]
    out = program("sweep", *options, expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_holds_something_else(mixed, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    out = program("sweep", f"--config={mixed[0]}", f"--workdir={tmp_path}", expect=2)
    assert "holds 'thesis.txt', but no sweep" in out.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["partiton=gpu"], "did you mean 'partition'"),
        (["minutes=soon"], "minutes= followed by a whole number"),
        (["minutes=0"], "minutes= followed by a whole number"),
        (["partition"], "partition= followed by a word"),
    ],
)
def test_bad_options_for_slurm(options, message):
    with pytest.raises(FieldError, match=message):
        slurm_options(options)


def test_a_machine_without_slurm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="sbatch is not found"):
        SlurmLauncher(SweepFolder(tmp_path), {})


@pytest.mark.quick
def test_batches_hold_what_one_program_trains():
    found = trials(
        {"optimizer.learning_rate": 0.1},
        {"model.cell": "lstm"},
        {"optimizer.learning_rate": 0.2},
        {"population.seeds": 50},
        {"model.cell": "lstm", "model.keeping_bias": 2.0},
        {"population.seeds": 60},
        {"population.seeds": 100},
    )
    assert batches(found, pack=True) == [["0", "2", "3"], ["5"], ["6"], ["1", "4"]]
    assert batches(found, pack=False) == [[str(number)] for number in range(7)]


@pytest.mark.parametrize(
    "trials",
    [None, [], [3], [{"name": "../x", "reference": None, "overrides": {}, "config": {}}]],
)
def test_a_damaged_list_of_trials(tmp_path, trials):
    if trials == []:
        assert _rows(trials, tmp_path) == []
        return
    with pytest.raises(RunError, match="is damaged"):
        _rows(trials, tmp_path)


def test_a_folder_that_was_tampered_with(mixed, tmp_path):
    file, folder, _ = mixed
    copied = tmp_path / "runs"
    shutil.copytree(folder, copied)
    link = copied / "trials" / "gru" / "metrics.jsonl"
    link.unlink()
    link.symlink_to("/dev/zero")
    options = [f"--config={file}", f"--workdir={copied}"]
    out = program("sweep", *options, expect=2)
    assert "metrics.jsonl is neither a file nor a folder" in out.stderr
    with pytest.raises(RunError, match="neither a file nor a folder"):
        entries(copied)


def test_damaged_notes_on_jobs(tmp_path, monkeypatch):
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "slurm").mkdir()
    (tmp_path / "slurm" / "jobs.json").write_text('{"1": 3}')
    with pytest.raises(RunError, match=r"jobs\.json is damaged"):
        SlurmLauncher(SweepFolder(tmp_path), {}).waiting()


def test_a_job_that_was_requeued_takes_over_from_another_host(tmp_path, monkeypatch):
    (trial,) = trials({})
    folder = SweepFolder(tmp_path)
    folder.open([trial])
    workdir = folder.workdir("0")
    workdir.mkdir()
    (workdir / "lock.json").write_text('{"host": "far", "pid": 12}')
    train_trials(folder, {"0": (trial.settings, workdir)}, lambda: 0)
    assert "in use by process 12" in folder.state("0").reason
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    train_trials(folder, {"0": (trial.settings, workdir)}, lambda: 0)
    assert folder.state("0") == State("done", 40)


@pytest.fixture
def started(monkeypatch):
    """Workers that do nothing, and whose `returncode` a test may set."""
    found = []

    class Started:
        returncode = None

        def __init__(self, command, env=None, **_):
            self.command, self.env = command, env
            found.append(self)

        def poll(self):
            return self.returncode

    monkeypatch.setattr(subprocess, "Popen", Started)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3, 4})
    return found


def launcher(path, **options):
    (path / "logs").mkdir(exist_ok=True)
    return LocalLauncher(SweepFolder(path), **options)


def flag(started, name):
    return next(part for part in started.command if part.startswith(f"--{name}="))


OTHERS = [{"model.cell": "lstm"}, {}, {"optimizer.learning_rate": 0.2}, {"population.seeds": 99}]


@pytest.mark.quick
def test_shares_of_the_cpus(tmp_path, monkeypatch, started):
    found = trials(*OTHERS)
    launcher(tmp_path, workers=1).start(found[:1])
    assert started.pop().env is None  # it may have all of an accelerator's memory
    launcher(tmp_path, workers=2).start(found)
    assert [each.env["XLA_PYTHON_CLIENT_PREALLOCATE"] for each in started] == ["false", "false"]
    assert [flag(each, "cpus") for each in started] == ["--cpus=0,2,4", "--cpus=1,3"]
    assert [flag(each, "trials") for each in started] == ["--trials=0", "--trials=1,2"]
    monkeypatch.setattr(memory, "accelerated", lambda: True)
    launcher(tmp_path).start(found)
    assert len(started) == 3
    assert flag(started[2], "cpus") == "--cpus=0,1,2,3,4"


@pytest.mark.quick
def test_workers_take_what_has_come_meanwhile(tmp_path, started):
    """Packed with what waits already; the CPUs are shared anew once no worker is left."""
    lstm, one, other, many = trials(*OTHERS)
    local = launcher(tmp_path)
    local.start([lstm, many])
    local.start([one])
    local.start([other])
    assert len(started) == 2
    started[1].returncode = 0
    assert [*local.ended()] == ["3"]
    assert [flag(each, "trials") for each in started[2:]] == ["--trials=1,2"]
    assert flag(started[2], "cpus") == flag(started[1], "cpus") == "--cpus=1,3"
    started[0].returncode = started[2].returncode = 0
    assert {*local.ended()} == {"0", "1", "2"}
    local.start([many])
    assert flag(started[3], "cpus") == "--cpus=0,1,2,3,4"
