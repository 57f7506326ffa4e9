"""Sweeps that are stopped, killed, or started twice."""

import os
import signal
import subprocess
import time

import pytest

from experiments.runs import load
from experiments.runs.records import read_metrics
from experiments.sweeps.folder import SweepFolder
from tests.programs import Started, program
from tests.sweeping import rows, sweep_file

pytestmark = pytest.mark.usefixtures("least_effort")

LONG = """
    add("a", {})
    add("b", {"model.cell": "vanilla"})
"""


def start(file, folder, *options):
    return Started("sweep", f"--config={file}", f"--workdir={folder}", *options)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def trained(folder, name, steps=10):
    return SweepFolder(folder).state(name).step >= steps


def workers(folder):
    found = subprocess.run(
        ["pgrep", "-f", f"experiments.sweeps.worker --sweep={folder}"],
        capture_output=True,
        text=True,
    )
    return [int(line) for line in found.stdout.split()]


def stopped_in_training(file, folder):
    """Whether a sweep that was stopped had begun both of its trials, and ended neither."""
    with start(file, folder, "--workers=2") as process:
        wait_for(lambda: trained(folder, "a") and trained(folder, "b"))
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    if not all(trained(folder, name, 2000) for name in "ab"):
        assert process.returncode == 128 + signal.SIGTERM
        assert "the same command goes on from here" in out
    assert not workers(folder)
    return not any(trained(folder, name, 2000) for name in "ab")


def test_stopped_and_started_again_it_ends_with_the_same_numbers(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=2000)
    whole = tmp_path / "whole"
    program("sweep", f"--config={file}", f"--workdir={whole}", "--workers=2")
    # On a busy machine, one may end before the other begins: then once more.
    folders = (tmp_path / f"stopped{number}" for number in range(5))
    stopped = next(folder for folder in folders if stopped_in_training(file, folder))
    program("sweep", f"--config={file}", f"--workdir={stopped}", "--workers=2")
    for name in "ab":
        assert read_metrics(stopped / "trials" / name) == read_metrics(whole / "trials" / name)


def test_workers_end_with_the_one_who_started_them(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=10**6)
    with start(file, tmp_path / "runs", "--workers=1") as process:
        wait_for(lambda: trained(tmp_path / "runs", "a"))
        process.kill()
        process.communicate()
    wait_for(lambda: not workers(tmp_path / "runs"))
    assert load(tmp_path / "runs" / "trials" / "a").summary["status"] == "stopped"


def test_a_worker_that_is_killed(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=2000)
    folder = tmp_path / "runs"
    with start(file, folder, "--workers=1") as process:
        wait_for(lambda: trained(folder, "a"))
        (worker,) = workers(folder)
        os.kill(worker, signal.SIGKILL)
        printed = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "failed: 1 of 2 trials" in printed[0], printed
    found = {row["trial"]: row for row in rows(folder)}
    assert found["a"]["status"] == "failed"
    assert "ended by signal 9" in found["a"]["reason"]
    assert found["b"]["status"] == "done"
    program("sweep", f"--config={file}", f"--workdir={folder}")
    assert SweepFolder(folder).state("a").status == "done"


def test_two_sweeps_in_one_folder(tmp_path):
    file = sweep_file(tmp_path / "long.py", LONG, steps=10**6)
    with start(file, tmp_path / "runs") as process:
        wait_for(lambda: trained(tmp_path / "runs", "a"))
        out = program("sweep", f"--config={file}", f"--workdir={tmp_path / 'runs'}", expect=2)
        assert f"is in use by process {process.pid}" in out.stderr
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
