"""Disks that fill, folders that vanish, seeds that burst, and what a stranger may have planted."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys

import jax
import numpy as np
import pytest

from experiments.runs import load
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.records import read_summary
from experiments.settings.resolution import resolve
from experiments.system.files import RunError, write_text
from experiments.system.lock import held
from experiments.train import train
from experiments.training.loop import train_settings
from gru_jax import FieldError
from tests.experiments.test_survival import ENDLESS, start, wait_for_lines
from tests.programs import ROOT, bits, one_line, program, tiny, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

AS_ROOT = [] if os.getuid() == 0 else ["sudo", "--non-interactive"]
TRAIN = ("train", "--config=configs/adding.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing happened to, by the same command."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    program(*TRAIN, f"--workdir={folder}", *tiny())
    return folder


def equal(run, whole):
    assert (run / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert bits(load(run)) == bits(load(whole))
    assert (run / "curves.png").exists()
    names = lambda folder: sorted(path.name.split(".out.")[0] for path in folder.iterdir())
    assert names(run) == names(whole)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of a megabyte; only root may make one."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    made = subprocess.run(
        [*AS_ROOT, "mount", "-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", str(mounted)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"needs leave to mount a disk: {made.stderr.decode().strip()}")
    yield mounted
    subprocess.run([*AS_ROOT, "umount", str(mounted)], check=True)


# At the first write, among the metrics and checkpoints, and at the figure.
@pytest.mark.parametrize("free", [0, 12, 40, 120])
def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(small_disk, whole, free):
    size = os.statvfs(small_disk)
    with (small_disk / "filler").open("wb") as file, contextlib.suppress(OSError):
        file.write(b"x" * (size.f_bavail * size.f_frsize - free * 1024))
    run = small_disk / "run"
    refused = program(*TRAIN, f"--workdir={run}", *tiny(), expect=1)
    assert one_line(refused.stderr), refused.stderr
    assert "No space left on device" in refused.stderr
    (small_disk / "filler").unlink()
    program(*TRAIN, f"--workdir={run}", *tiny())
    equal(run, whole)


# The metrics and checkpoints need about 3 kB each, the figure some 100.
@pytest.mark.parametrize("limit", [500, 2500, 20_000])
def test_a_limit_on_the_size_of_files_is_one_line_too(tmp_path, whole, limit):
    command = [sys.executable, "-m", "experiments.train", "--config=configs/adding.py"]
    refused = subprocess.run(
        ["prlimit", f"--fsize={limit}", *command, f"--workdir={tmp_path / 'run'}", *tiny()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 1, refused.stderr
    assert one_line(refused.stderr), refused.stderr
    assert "File too large" in refused.stderr
    program(*TRAIN, f"--workdir={tmp_path / 'run'}", *tiny())
    equal(tmp_path / "run", whole)


def test_a_read_only_folder(small_disk, whole):
    run = shutil.copytree(whole, small_disk / "run")
    (run / "summary.json").unlink()
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    remount = lambda how: subprocess.run(
        [*AS_ROOT, "mount", "-o", f"remount,{how}", str(small_disk)], check=True
    )
    remount("ro")
    refused = program(*TRAIN, f"--workdir={run}", *tiny(), expect=1)
    assert one_line(refused.stderr)
    assert "Read-only file system" in refused.stderr
    assert program("evaluate", f"--run={run}").stdout  # to read it is enough
    remount("rw")
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_a_folder_that_vanishes_is_not_made_again(tmp_path):
    run = tmp_path / "run"
    process = start(run, **ENDLESS)
    wait_for_lines(run, process)
    run.rename(tmp_path / "moved")
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 1
    assert one_line(complained), complained
    assert "was deleted: this run stops" in complained
    assert not run.exists()


def test_a_run_that_another_host_takes_over_stops(tmp_path):
    run = tmp_path / "run"
    process = start(run, **ENDLESS)
    wait_for_lines(run, process)
    (run / "new").write_text(json.dumps({"host": "far", "pid": 7}))
    (run / "new").rename(run / "lock.json")
    _, complained = process.communicate(timeout=60)
    assert process.returncode == 1
    assert one_line(complained), complained
    assert "was taken over by process 7 on 'far'" in complained
    arguments = [*TRAIN, f"--workdir={run}", *tiny(**ENDLESS)]
    assert "--force takes over" in program(*arguments, expect=2).stderr
    forced = start(run, "--force", **ENDLESS)
    wait_for_lines(run, forced, (run / "metrics.jsonl").read_text().count("\n") + 4)
    forced.send_signal(signal.SIGTERM)
    forced.communicate(timeout=60)
    assert forced.returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize("rate", [1e15, 1e38])
def test_a_seed_that_bursts_is_reported_and_its_neighbour_has_the_same_bits(tmp_path, rate):
    options = {"optimizer.name": "sgd", "optimizer.clip_norm": 0.0}
    rates = lambda second: {**options, "population.learning_rates": (0.01, second)}
    calm = train(tiny_config(**rates(0.01)), str(tmp_path / "calm"), quiet=True)
    wild = train(tiny_config(**rates(rate)), str(tmp_path / "wild"), quiet=True)
    # A rate is logged where seeds differ in it.
    of_first = lambda run: [
        {**row, "learning_rate": None} for row in run.metrics if row["seed"] == 0
    ]
    assert of_first(wild) == of_first(calm)
    first = lambda run: [np.asarray(a)[0].tobytes() for a in jax.tree.leaves(run.state.params)]
    assert first(wild) == first(calm)
    assert wild.summary["status"] == "completed"
    assert wild.summary["diverged_step"][0] is None is wild.summary["diverged_norm"][0]
    step, norm = wild.summary["diverged_step"][1], wild.summary["diverged_norm"][1]
    assert 0 < step < 40
    assert norm > 0
    assert int(wild.state.step[1]) == step
    assert float(wild.state.gradient_norm[1]) == norm
    assert all(row["step"] <= 10 * (step // 10 + 1) for row in wild.metrics if row["seed"] == 1)


class Planted:
    """Whoever unpickles it makes a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def plant(run, marker):
    """Files that harm whoever runs, imports or unpickles what lies in a run's folder."""
    code = f"__import__('os').mkdir({str(marker)!r})"
    for name in ("sitecustomize", "conftest", "jax", "json", "configs", "train", "__init__"):
        (run / f"{name}.py").write_text(code)
    (run / ".pth").write_text(f"import os; {code}")
    shell = f"#!/bin/sh\nmkdir {marker}\n"
    (run / "git").write_text(shell)
    (run / "git").chmod(0o755)
    (run / ".git").mkdir()
    (run / ".git" / "config").write_text(f'[core]\n\tfsmonitor = "mkdir {marker}; false"\n')
    for name in ("state.pkl", "events.out.tfevents.0", "matplotlibrc", "curves.png"):
        (run / name).write_bytes(pickle.dumps(Planted(marker)))


def test_a_folder_from_a_stranger_runs_no_code(whole, tmp_path):
    run, marker = shutil.copytree(whole, tmp_path / "run"), tmp_path / "harm"
    plant(run, marker)
    pickled = pickle.dumps(Planted(marker))
    pickle.loads(pickled)
    marker.rmdir()  # the bait works
    program("evaluate", f"--run={run}")
    program("evaluate", "--run=.", cwd=run, env={"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1"})
    (run / "summary.json").unlink()
    program(*TRAIN, f"--workdir={run}", *tiny())
    # A checkpoint that is a pickle under a digest that fits.
    checkpoints = Checkpoints(run / "checkpoints")
    for step in sorted(checkpoints.steps()):
        checkpoints.save(step, pickled)
    refused = program("evaluate", f"--run={run}", expect=2)
    assert "no usable checkpoint" in refused.stderr
    assert not marker.exists()


@pytest.mark.parametrize("name", ["config.json", "summary.json", "metrics.jsonl.partial"])
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_strangers_links_and_pipes_are_refused(whole, tmp_path, name, kind):
    run, mine = shutil.copytree(whole, tmp_path / "run"), tmp_path / "mine"
    mine.write_text("precious")
    (run / name).unlink(missing_ok=True)
    if kind == "link":
        (run / name).symlink_to(mine)
    else:
        os.mkfifo(run / name)
    with pytest.raises(RunError, match="is neither a file nor a folder"):
        load(run)
    with pytest.raises(RunError, match="is neither a file nor a folder"):
        train_settings(resolve(json.loads((whole / "config.json").read_text())), run, quiet=True)
    assert mine.read_text() == "precious"


def test_a_linked_lock_or_partial_file_is_not_written_through(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    for name in ("lock.json", "a.partial"):
        (tmp_path / name).symlink_to(mine)
    with pytest.raises(OSError, match="symbolic links"), held(tmp_path):
        pass
    write_text(tmp_path / "a", "new")
    assert mine.read_text() == "precious"
    assert (tmp_path / "a").read_text() == "new"


def test_a_strangers_words_do_not_reach_the_terminal_raw(whole, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "\x1b]0;owned\x07": 1}))
    refused = program("evaluate", f"--run={run}", expect=2)
    assert one_line(refused.stderr)
    assert "\x1b" not in refused.stderr


WORDS = (
    *("name", "task.name", "model.cell", "model.encoder", "model.gru.activation"),
    *("optimizer.name", "train.target_metric"),
)


@pytest.mark.parametrize("path", WORDS)
def test_words_of_a_strangers_config_are_only_words(whole, tmp_path, path):
    run, marker = shutil.copytree(whole, tmp_path / "run"), tmp_path / "harm"
    config = json.loads((run / "config.json").read_text())
    section = config
    *sections, leaf = path.split(".")
    for name in sections:
        section = section[name]
    section[leaf] = f"__import__('os').mkdir({str(marker)!r})"
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(FieldError, match=f"config.{path} = "):
        load(run)
    assert not marker.exists()


SUMMARY = {
    "status": "completed",
    "step": 40,
    "wall_seconds": 1.5,
    "parameters": 7,
    "baseline_loss": 0.1,
    "seeds": [0, 1],
    "solved_step": [20, None],
    "diverged_step": [None, None],
    "eval": {"loss": {"mean": None, "std": None, "per_seed": [0.1, None]}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"status": 3},
        {"step": None},
        {"seeds": "01"},
        {"solved_step": [0.5]},
        {"eval": []},
        {"eval": {"loss": [0.1]}},
        {"eval": {"loss": {"per_seed": ["low"]}}},
    ],
    ids=str,
)
def test_a_summary_that_somebody_else_has_written(tmp_path, change):
    path = tmp_path / "summary.json"
    path.write_text(json.dumps(SUMMARY))
    assert read_summary(tmp_path) == SUMMARY
    path.write_text(json.dumps(SUMMARY | change))
    with pytest.raises(RunError, match=r"summary\.json is damaged"):
        read_summary(tmp_path)
