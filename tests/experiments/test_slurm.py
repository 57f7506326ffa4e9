"""A sweep on a real cluster of one node (.ci/cluster starts one)."""

import json
import os
import shutil
import signal
import subprocess

import pytest

from experiments.runs import load
from experiments.runs.records import read_metrics
from experiments.sweeps.folder import SweepFolder
from tests.experiments.test_own import CODE
from tests.experiments.test_sweep_interrupted import LONG, start, wait_for
from tests.programs import program, tiny
from tests.sweeping import rows, sweep_file

pytestmark = pytest.mark.usefixtures("least_effort")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Slurm. Where GRU_JAX_SLURM=required (as in CI) its absence is a failure."""
    answers = (
        shutil.which("sinfo") and not subprocess.run(["sinfo"], capture_output=True).returncode
    )
    if not answers:
        assert os.environ.get("GRU_JAX_SLURM") != "required", "no Slurm cluster answers"
        pytest.skip("no Slurm cluster answers: .ci/cluster starts one")


def jobs(folder):
    """The job of each trial."""
    path = folder / "slurm" / "jobs.json"
    found = json.loads(path.read_text()) if path.exists() else {}
    return {name: job for job, names in found.items() for name in names}


def checkpointed(folder, name):
    return any((folder / "trials" / name / "checkpoints").glob("[0-9]*"))


SLURM = ("--launcher=slurm", "--slurm=cpus_per_task=1,minutes=10")


def test_jobs_that_are_killed_and_queued_again_end_with_the_same_bits(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=6000)
    whole, folder = tmp_path / "whole", tmp_path / "runs"
    with start(file, folder, *SLURM) as process:
        wait_for(lambda: checkpointed(folder, "a") and checkpointed(folder, "b"), 300)
        # As a cluster does where the place is needed, and where the time is over.
        subprocess.run(["scontrol", "requeue", jobs(folder)["a"]], check=True)
        subprocess.run(["scancel", "--signal=USR2", jobs(folder)["b"]], check=True)
        out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, out + errors
    program("sweep", f"--config={file}", f"--workdir={whole}", "--workers=1")
    for name, job in jobs(folder).items():
        shown = subprocess.run(["scontrol", "show", "job", job], capture_output=True, text=True)
        assert "Restarts=1" in shown.stdout
        assert SweepFolder(folder).state(name).status == "done"
        assert read_metrics(folder / "trials" / name) == read_metrics(whole / "trials" / name)
    assert [row["status"] for row in rows(folder)] == ["done"] * 2
    assert (folder / "report.html").exists()


def test_jobs_import_a_cell_of_ones_own(tmp_path):
    (tmp_path / "mine.py").write_text(CODE + '\ndef sweep(add):\n    add("a", {})\n')
    options = [f"--config={tmp_path / 'mine.py'}", f"--workdir={tmp_path / 'runs'}", *tiny()]
    program("sweep", *options, *SLURM)
    assert [row["status"] for row in rows(tmp_path / "runs")] == ["done"]


def test_jobs_outlive_the_command_which_finds_them_again(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=6000)
    folder = tmp_path / "runs"
    with start(file, folder, *SLURM) as process:
        wait_for(lambda: checkpointed(folder, "a"), 300)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    queued = jobs(folder)
    assert "the jobs go on" in out
    assert all(job in out for job in queued.values())
    program("sweep", f"--config={file}", f"--workdir={folder}", *SLURM)
    assert jobs(folder) == queued, "they were started twice"
    assert load(folder / "trials" / "b").summary["status"] == "completed"


def test_a_job_that_is_cancelled_is_recorded(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=10**6)
    folder = tmp_path / "runs"
    with start(file, folder, *SLURM, "--only=a") as process:
        wait_for(lambda: checkpointed(folder, "a"), 300)
        subprocess.run(["scancel", jobs(folder)["a"]], check=True)
        process.communicate(timeout=120)
    assert process.returncode == 1
    (row,) = rows(folder)
    assert row["status"] == "failed"
    assert "ended: see" in row["reason"]
