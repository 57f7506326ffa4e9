"""One run on two real processes over loopback: the same data, one writer, and a death noticed."""

import json
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.runs import load
from experiments.runs.records import read_environment, read_metrics
from tests.experiments.test_survival import ENDLESS, smaller_budget, wait_for_lines
from tests.programs import ROOT, Started, bits, one_line, program, tiny

pytestmark = pytest.mark.usefixtures("least_effort")

STEPS = 150  # more than a run has logged until it has been interrupted three times
EACH_STEP = {"train.log_every": 1, "train.checkpoint_every": 10, "train.steps": STEPS}


def by_flags(rank):
    return ["--coordinator=127.0.0.1:{port}", "--processes=2", f"--process={rank}"], {}


def by_slurm(rank):
    """What srun sets for two tasks on one node; JAX derives the port from the job's number."""
    return [], {
        "SLURM_JOB_ID": "{port}",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_STEP_NUM_NODES": "1",
    }


def start_two(workdir, how=by_flags, **overrides):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--config=configs/adding.py", f"--workdir={workdir}", *tiny(**overrides)]
    started = []
    for rank in (0, 1):
        arguments, environment = how(rank)
        arguments = [argument.format(port=port) for argument in arguments]
        environment = {name: value.format(port=port) for name, value in environment.items()}
        started.append(Started("train", *options, "--distributed", *arguments, env=environment))
    return started


def end(processes, status=0):
    printed = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [status, status], printed
    return printed


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """A run on two processes, each of its steps logged."""
    folder = tmp_path_factory.mktemp("together") / "run"
    printed = end(start_two(folder, **EACH_STEP))
    return folder, printed


def test_one_process_writes_and_the_other_is_quiet(together):
    folder, ((first, _), (second, _)) = together
    assert "0/2 solved" in first
    assert "step" not in second
    assert read_environment(folder)["processes"] == 2
    assert not (folder / "lock.json").exists()
    assert json.loads((folder / "summary.json").read_text())["status"] == "completed"


def test_all_of_them_again_say_that_it_is_finished(together):
    folder, _ = together
    before = (folder / "summary.json").read_bytes()
    (first, _), (second, _) = end(start_two(folder, **EACH_STEP))
    assert "is finished: nothing to do" in first
    assert "step" not in second
    assert (folder / "summary.json").read_bytes() == before


def test_different_configs_are_refused(tmp_path):
    run = tmp_path / "run"
    unlike = lambda rank: (
        [*by_flags(rank)[0], f"--config.optimizer.learning_rate={(rank + 1) / 100}"],
        {},
    )
    processes = start_two(run, unlike)
    printed = [process.communicate(timeout=120) for process in processes]
    assert processes[1].returncode == 2, printed
    assert "config differs from that of process 0" in printed[1][1]
    assert processes[0].returncode == 1
    assert "process 1" in printed[0][1]


def test_the_first_losses_are_those_of_one_process(together, tmp_path):
    folder, _ = together
    options = tiny(**EACH_STEP | {"train.steps": 10})
    program("train", "--config=configs/adding.py", f"--workdir={tmp_path / 'one'}", *options)
    alone = read_metrics(tmp_path / "one")
    assert len(alone) == 40
    for one, two in zip(alone, read_metrics(folder), strict=False):
        assert [one[name] for name in ("step", "split", "seed")] == [
            two[name] for name in ("step", "split", "seed")
        ]
        np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-5)


def test_stopped_and_killed_it_resumes_to_the_same_bits(together, tmp_path):
    run = tmp_path / "run"
    processes = start_two(run, **EACH_STEP | ENDLESS)
    wait_for_lines(run, processes[0])
    processes[1].send_signal(signal.SIGTERM)
    end(processes, 128 + signal.SIGTERM)
    assert json.loads((run / "summary.json").read_text())["status"] == "stopped"
    for victim, how in enumerate((by_flags, by_slurm)):
        reached = read_metrics(run)
        processes = start_two(run, how, **EACH_STEP | ENDLESS)
        wait_for_lines(run, processes[0], len(reached) + 8)
        processes[victim].kill()
        killed = time.monotonic()
        survivor = processes[1 - victim]
        _, complained = survivor.communicate(timeout=60)
        assert time.monotonic() - killed < 60
        assert survivor.returncode == 1, complained
        # JAX's own threads may write their lines before it or behind it.
        (said,) = [line for line in complained.splitlines() if line.startswith("error: ")]
        assert said.startswith(f"error: process {victim} (")
        assert f"pid {processes[victim].pid}) is gone" in said
        processes[victim].communicate()
    budget = max(STEPS, 10 * (read_metrics(run)[-1]["step"] // 10 + 2))
    smaller_budget(run, budget)
    end(start_two(run, **EACH_STEP | {"train.steps": budget}))
    rows = lambda folder: [row for row in read_metrics(folder) if row["step"] <= STEPS]
    assert rows(run) == rows(together[0]), "the same bits as if nobody had been killed"
    if budget == STEPS:
        assert bits(load(run)) == bits(load(together[0]))


def test_processes_that_cannot_share_the_population(tmp_path):
    odd = {"population.seeds": 1, "train.batch_size": 3, "train.evaluation_examples": 3}
    processes = start_two(tmp_path / "run", **odd)
    printed = [process.communicate(timeout=120) for process in processes]
    # The second to notice may be told first that the other one is gone.
    assert {2} <= {process.returncode for process in processes} <= {1, 2}, printed
    assert any("do not divide the population evenly" in complained for _, complained in printed)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("rank", [0, 1])
def test_one_that_stays_alone_gives_up(tmp_path, rank):
    """With less patience than the real one, which is minutes."""
    code = (
        "import sys; from experiments import train, usage; "
        "from experiments.system import commandline, processes; "
        "processes.PATIENCE = 2; commandline.run(train.main, usage.TRAIN)"
    )
    arguments, _ = by_flags(rank)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ["--config=configs/adding.py", f"--workdir={tmp_path / 'run'}", "--distributed"]
    options += [argument.format(port=port) for argument in arguments]
    alone = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert alone.returncode == 1
    assert one_line(alone.stderr), alone.stderr
    assert "the other processes did not come" in alone.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--distributed"], "under srun or mpirun, or with --coordinator and the rest"),
        (["--processes=2"], "--processes = 2: must be given with --distributed"),
        (
            ["--distributed", "--processes=2"],
            "given with all of --coordinator, --processes, --process",
        ),
        (
            ["--distributed", "--coordinator=here", "--processes=2", "--process=0"],
            "--coordinator = 'here': must be HOST:PORT",
        ),
        (
            ["--distributed", "--coordinator=here:1", "--processes=2", "--process=2"],
            "--process = 2: must be in 0..1",
        ),
        (
            ["--distributed", "--coordinator=here:1", "--processes=0", "--process=0"],
            "--processes = 0: must be at least 1",
        ),
    ],
)
def test_bad_flags(tmp_path, arguments, message):
    options = ["--config=configs/adding.py", f"--workdir={tmp_path / 'run'}", *arguments]
    refused = program("train", *options, expect=2)
    assert one_line(refused.stderr), refused.stderr
    assert message in refused.stderr
    assert not list(tmp_path.iterdir())
