"""Runs that are killed, stopped, moved and extended: real processes and real signals."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from experiments.runs import load
from experiments.runs.records import read_environment, read_metrics
from experiments.settings.resolution import resolve
from experiments.system import signals
from experiments.system.files import RunError
from experiments.train import train
from experiments.training import loop
from experiments.training.loop import train_settings
from scripts.endurance import kills
from tests.programs import ROOT, Started, bits, one_line, program, tiny, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")
ENDLESS = {"train.steps": 100_000}


def test_killed_and_started_again_it_ends_with_the_same_bits():
    counts = kills.kill(25)
    assert counts["equal_runs"] == counts["runs"] > 0
    assert all(counts[f"waited for: {moment}"] >= 3 for moment in kills.MOMENTS), counts
    assert counts.get("hit: a checkpoint being written", 0) >= 3, counts
    for meant in ("compiling", "no progress since the kill before"):
        assert counts.get(f"hit: {meant}", 0) > 0, counts
    assert counts.get("hit: metrics of a step without its checkpoint", 0) > 0, counts


def start(workdir, *flags, **overrides):
    """The run in the background."""
    options = ("--config=configs/adding.py", f"--workdir={workdir}", *flags, *tiny(**overrides))
    return Started("train", *options)


def start_command(workdir, **overrides):
    """The real command, in the background."""
    options = ["--config=configs/adding.py", f"--workdir={workdir}", *tiny(**overrides)]
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "experiments.train", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_lines(workdir, process, lines=8):
    """Until the run has logged so much."""
    metrics = workdir / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") >= lines):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


def smaller_budget(run, steps):
    """By hand, since --extend may only raise it."""
    config = json.loads((run / "config.json").read_text())
    config["train"]["steps"] = steps
    (run / "config.json").write_text(json.dumps(config))


def test_signals_stop_the_run_between_chunks(tmp_path):
    """One after the other; then it ends as one that nobody has stopped."""
    broken, lines = tmp_path / "broken", 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        process = start(broken, **ENDLESS)
        wait_for_lines(broken, process, lines + 8)
        process.send_signal(number)
        printed, complained = process.communicate(timeout=60)
        assert process.returncode == 128 + number
        assert "the same command goes on from here" in printed
        assert complained.startswith("stopping after this chunk")
        summary = json.loads((broken / "summary.json").read_text())
        assert summary["status"] == "stopped"
        assert (broken / "curves.png").exists()
        stopped = load(broken)
        assert stopped.summary["step"] == stopped.metrics[-1]["step"] == int(stopped.state.step[0])
        lines = len(stopped.metrics)
    settings = {"train.steps": stopped.summary["step"] + 20}
    smaller_budget(broken, settings["train.steps"])
    program("train", "--config=configs/adding.py", f"--workdir={broken}", *tiny(**settings))
    whole = tmp_path / "whole"
    program("train", "--config=configs/adding.py", f"--workdir={whole}", *tiny(**settings))
    assert (broken / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert bits(load(broken)) == bits(load(whole))


def test_a_second_ctrl_c_ends_a_long_chunk_at_once_and_nobody_else_may_write(tmp_path):
    workdir = tmp_path / "run"
    endless = {"train.steps": 10**8, "train.log_every": 10**8, "train.checkpoint_every": 10**8}
    process = start_command(workdir, **endless)
    assert process.stdout.readline() == "compiling\n"
    second = start(workdir, **endless)
    _, complained = second.communicate(timeout=60)
    assert second.returncode == 2
    assert one_line(complained)
    assert f"is in use by process {process.pid} on " in complained
    time.sleep(3)  # deep inside the chunk, which takes hours
    process.send_signal(signal.SIGINT)
    assert process.stderr.readline() == "stopping after this chunk; Ctrl-C stops at once\n"
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert time.monotonic() - began < 5
    assert process.returncode == 130
    assert complained == ""


@pytest.mark.parametrize("seconds", [0.4, 0.8])
def test_ctrl_c_while_starting_needs_no_traceback(tmp_path, seconds):
    process = start_command(tmp_path / "run")
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, complained = process.communicate(timeout=60)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in complained


def test_a_ctrl_c_that_a_callback_has_lost_ends_the_run_before_it_begins(monkeypatch):
    monkeypatch.setattr(signals, "_interrupts", [])
    with contextlib.suppress(KeyboardInterrupt):
        signals.interrupt(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt), signals.stop_requests():
        pass


def test_a_resume_reuses_the_recorded_number_of_cpu_devices(tmp_path):
    """Begun on one core, resumed where all may be used."""
    core = min(os.sched_getaffinity(0))

    def run(workdir, *arguments):
        command = [sys.executable, "-m", "experiments.train", "--config=configs/adding.py"]
        subprocess.run(
            ["taskset", "--cpu-list", str(core), *command, f"--workdir={workdir}", *arguments],
            cwd=ROOT,
            check=True,
            capture_output=True,
        )

    run(tmp_path / "whole", *tiny(**{"train.steps": 60}))
    run(tmp_path / "moved", *tiny())
    options = [f"--workdir={tmp_path / 'moved'}", "--extend", *tiny(**{"train.steps": 60})]
    program("train", "--config=configs/adding.py", *options)
    environment = read_environment(tmp_path / "moved")
    assert environment["devices"] == 1
    assert "resumed" not in environment, "nothing differs"
    assert bits(load(tmp_path / "moved")) == bits(load(tmp_path / "whole"))


def test_on_other_devices_the_first_ten_losses_agree(tmp_path):
    """Begun on the four devices of the tests, resumed on one."""
    each = {"train.log_every": 1, "train.checkpoint_every": 10}
    whole = train(tiny_config(**each, **{"train.steps": 20}), str(tmp_path / "whole"), quiet=True)
    train(tiny_config(**each, **{"train.steps": 10}), str(tmp_path / "moved"), quiet=True)
    code = (
        "import json, sys; from pathlib import Path; "
        "from experiments.settings.resolution import resolve; "
        "from experiments.training.loop import train_settings; "
        "config = json.loads(sys.argv[2]); "
        "train_settings(resolve(config), Path(sys.argv[1]), quiet=True, extend=True)"
    )
    config = json.dumps(whole.settings.config)
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "moved"), config],
        cwd=ROOT,
        check=True,
    )
    rows = lambda name: [row for row in read_metrics(tmp_path / name) if row["step"] > 10]
    assert len(rows("moved")) == 40
    for moved, stayed in zip(rows("moved"), rows("whole"), strict=True):
        assert (moved["step"], moved["split"], moved["seed"]) == (
            stayed["step"],
            stayed["split"],
            stayed["seed"],
        )
        np.testing.assert_allclose(moved["loss"], stayed["loss"], rtol=1e-5)
    environment = read_environment(tmp_path / "moved")
    assert environment["devices"] == 4
    assert environment["resumed"] == [{"devices": 1}]


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    folder = tmp_path_factory.mktemp("short") / "run"
    train(tiny_config(), str(folder), quiet=True)
    return folder


@pytest.fixture
def copied(short, tmp_path):
    """A finished run of 40 steps, to do with as one likes."""
    return shutil.copytree(short, tmp_path / "run")


def test_extended_is_as_if_it_had_been_so_long_from_the_start(copied, tmp_path):
    longer = resolve(tiny_config(**{"train.steps": 60}))
    extended = train_settings(longer, copied, quiet=True, extend=True)
    assert extended.summary["step"] == 60
    whole = train_settings(longer, tmp_path / "whole", quiet=True)
    assert bits(extended) == bits(whole)
    assert extended.metrics == whole.metrics
    assert load(copied).settings.steps == 60


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.steps": 20}, "--extend may only raise config.train.steps, but .* is 40 there"),
        ({"train.steps": 60, "model.cell": "lstm"}, "config.model.cell is 'gru' there and 'lstm'"),
        ({"train.batch_size": 8}, "config.train.batch_size is 4 there and 8 here"),
    ],
)
def test_extend_may_raise_the_steps_and_nothing_else(copied, changes, message):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match=message):
        train_settings(resolve(tiny_config(**changes)), copied, quiet=True, extend=True)
    assert before == {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}


def test_another_config_is_refused_with_every_field_that_differs(copied):
    changes = {"model.cell": "lstm", "task.length": 7, "train.batch_size": 8, "train.steps": 60}
    with pytest.raises(RunError) as caught:
        train(tiny_config(**changes), str(copied), quiet=True)
    assert all(f"config.{name} is " in str(caught.value) for name in changes)
    with pytest.raises(RunError, match=r"\(--extend raises it\)"):
        train(tiny_config(**{"train.steps": 60}), str(copied), quiet=True)


def test_extend_needs_to_be_told_which_run():
    refused = program("train", "--config=configs/adding.py", "--extend", expect=2)
    assert one_line(refused.stderr)
    assert "--workdir" in refused.stderr


def test_the_last_checkpoint_is_there_before_the_models_are_judged(tmp_path, monkeypatch):
    """On test examples, which may take long, and may not fit into memory."""

    def judged(*_):
        raise MemoryError

    monkeypatch.setattr(loop, "final_evaluations", judged)
    settings = resolve(tiny_config())
    with pytest.raises(MemoryError):
        train_settings(settings, tmp_path / "run", quiet=True)
    assert (tmp_path / "run" / "checkpoints" / "40").is_dir()
    assert not (tmp_path / "run" / "summary.json").exists()


def test_a_run_whose_end_was_cut_off_is_ended_again(copied):
    """Killed between the last checkpoint and the summary: the figure and the summary come back."""
    expected = json.loads((copied / "summary.json").read_text())
    for name in ("summary.json", "curves.png"):
        (copied / name).unlink()
    again = train(tiny_config(), str(copied), quiet=True)
    assert again.summary | {"wall_seconds": 0} == expected | {"wall_seconds": 0}
    assert (copied / "curves.png").exists()


def test_lines_after_the_checkpoint_are_written_again(copied, capsys):
    """A damaged checkpoint and a line that a kill cut in two."""
    expected = (copied / "metrics.jsonl").read_bytes(), bits(load(copied))
    (copied / "checkpoints" / "40" / "state.safetensors").write_bytes(b"")
    with (copied / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "split"')
    (copied / "summary.json").unlink()
    resumed = train(tiny_config(), str(copied), quiet=True)
    assert ((copied / "metrics.jsonl").read_bytes(), bits(resumed)) == expected
    assert "checkpoints/40: " in capsys.readouterr().err


def test_a_lost_end_of_the_metrics_is_made_again(copied, capsys):
    """A machine that lost power may have kept the checkpoint and not the lines."""
    expected = (copied / "metrics.jsonl").read_bytes()
    (copied / "metrics.jsonl").write_bytes(expected[:-1])
    (copied / "summary.json").unlink()
    train(tiny_config(), str(copied), quiet=True)
    assert (copied / "metrics.jsonl").read_bytes() == expected
    assert "metrics.jsonl has lost 1 line\n" in capsys.readouterr().err


def test_lost_checkpoints_are_no_fresh_start(copied):
    (copied / "summary.json").unlink()
    shutil.rmtree(copied / "checkpoints")
    before = (copied / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="has metrics until step 40 and no checkpoint"):
        train(tiny_config(), str(copied), quiet=True)
    assert (copied / "metrics.jsonl").read_bytes() == before


def test_extend_changes_nothing_where_it_cannot_go_on(copied):
    for state in copied.rglob("state.safetensors"):
        state.write_bytes(b"")
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    with pytest.raises(RunError, match="no usable checkpoint"):
        train_settings(resolve(tiny_config(**{"train.steps": 60})), copied, quiet=True, extend=True)
    assert before == {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["events.out.tfevents.1", "notes.txt", "metrics.jsonl"])
def test_a_folder_with_other_things_is_not_taken(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunError, match=r"config\.json is missing"):
        train(tiny_config(), str(tmp_path), quiet=True)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_kill_before_the_last_clearing_leaves_nothing_behind(copied):
    (copied / "summary.json").unlink()
    shutil.copytree(copied / "checkpoints" / "40", copied / "checkpoints" / "10")
    (copied / "checkpoints" / "20.old.partial").mkdir()
    train(tiny_config(), str(copied), quiet=True)
    assert sorted(path.name for path in (copied / "checkpoints").iterdir()) == ["20", "40"]


DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("summary.json", '{"status": "completed"}'),
        ("summary.json", DEEP),
        ("summary.json", "{}"),
        ("environment.json", '{"resumed": 3}'),
        ("environment.json", "x"),
        ("environment.json", DEEP),
        ("config.json", DEEP),
        ("metrics.jsonl", DEEP + "\n"),
        ("metrics.jsonl", '{"step": 10, "split": "eval", "seed": 0}\n'),
        ("metrics.jsonl", '{"step": 10, "split": "eval", "seed": 0, "loss": "x", "correct": 1}\n'),
    ],
)
def test_damaged_json_is_a_clear_stop(copied, name, text):
    (copied / name).write_text(text)
    if name != "summary.json":
        (copied / "summary.json").unlink()
    options = [f"--workdir={copied}", *tiny()]
    refused = program("train", "--config=configs/adding.py", *options, expect=2)
    assert one_line(refused.stderr), refused.stderr
    assert name in refused.stderr
    assert "unforeseen" not in refused.stderr
    assert (copied / name).read_text() == text


@pytest.mark.parametrize("line", ["x", "3", "{}", '{"step": "9", "split": "eval", "seed": 0}', "é"])
def test_a_damaged_line_of_metrics_is_a_clear_stop(copied, line):
    text = (copied / "metrics.jsonl").read_text()
    (copied / "metrics.jsonl").write_text(f"{line}\n{text}", encoding="latin1")
    (copied / "summary.json").unlink()
    with pytest.raises(RunError, match=r"metrics.jsonl: line 1 is damaged"):
        train(tiny_config(), str(copied), quiet=True)
    assert (copied / "metrics.jsonl").read_text(encoding="latin1") == f"{line}\n{text}"
    assert not (copied / "lock.json").exists()
