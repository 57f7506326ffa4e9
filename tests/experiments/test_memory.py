"""What a population needs: refused with the estimate, which XLA's own numbers confirm."""

import dataclasses
import importlib
import os
import platform
import subprocess
import sys

import jax
import numpy as np
import pytest

from configs import adding, copy_memory, digits
from experiments.evaluate import evaluate
from experiments.measurements.gates import record
from experiments.runs.state import abstract_state
from experiments.settings.resolution import resolve
from experiments.system import memory
from experiments.system.files import RunError
from experiments.train import train
from experiments.training import loop
from experiments.training.memory import needed
from gru_jax import training
from gru_jax.devices import make_mesh
from tests.programs import ROOT, one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")


VANILLA = {"model.cell": "vanilla", "model.chrono_max": 0.0}


@pytest.mark.parametrize(
    ("base", "options"),
    [
        (adding, {"model.cell": "gru", "task.length": 60}),
        (copy_memory, {"model.cell": "gru", "task.length": 60}),
        (adding, {"model.cell": "lstm", "task.length": 60}),
        (copy_memory, {**VANILLA, "task.length": 60, "train.batch_size": 64}),
        (copy_memory, {"model.cell": "gru", "model.hidden_sizes": (64, 32)}),
        (adding, {"model.cell": "gru", "model.hidden_sizes": (64, 32), "population.seeds": 16}),
        (adding, {"model.cell": "gru", "model.hidden_sizes": (400,), "train.batch_size": 4}),
    ],
)
def test_the_estimate_is_a_lower_bound_and_close_to_what_the_program_takes(base, options):
    options = {"model.hidden_sizes": (32,), "train.batch_size": 16, **options}
    settings = resolve(tiny_config(base, **options))
    mesh = make_mesh(*settings.mesh_sizes)
    states, passes = needed(settings, mesh)
    state = abstract_state(settings)
    program = training.train_chunk.lower(settings.experiment, mesh, state).compile()
    taken = program.memory_analysis()
    assert 0.9 < states / taken.argument_size_in_bytes <= 1.001
    whole = taken.argument_size_in_bytes + taken.temp_size_in_bytes
    assert 0.6 < (states + passes) / whole < 1.05


@pytest.mark.parametrize(
    ("group", "file"),
    [
        ("0::/job/step", "job/step/memory.max"),
        ("0::/job/step", "job/memory.max"),
        ("0::/", "memory.max"),
        ("3:cpu:/x\n9:memory:/job", "memory/job/memory.limit_in_bytes"),
    ],
)
def test_the_limits_of_a_job_are_read(monkeypatch, tmp_path, group, file):
    mesh = jax.sharding.Mesh(jax.devices()[:2], ("seed",))
    monkeypatch.setattr(memory, "GROUPS", tmp_path / "group")
    monkeypatch.setattr(memory, "MOUNTED", tmp_path)
    whole = memory.available(mesh)
    assert 2**27 < whole < 2**45
    (tmp_path / "group").write_text(group)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    for text, expected in (("4096\n", 2048), ("max\n", whole), (str(2**62), whole)):
        (tmp_path / file).write_text(text)
        assert memory.available(mesh) == expected


@pytest.mark.parametrize(
    "options",
    [
        {"model.hidden_sizes": (10**6,)},
        {"train.batch_size": 2**30},
        {"task.length": 2**31 - 1},
        {"population.seeds": 10_000, "model.hidden_sizes": (3000,)},
        {"train.evaluation_examples": 2**31 - 1, "task.length": 1000},
    ],
)
def test_what_cannot_fit_is_refused_with_the_estimate(tmp_path, monkeypatch, options):
    monkeypatch.setattr(memory, "available", lambda _: 2**33)  # as on a small machine
    with pytest.raises(RunError, match=r"needs at least .* GiB .* and there are .* GiB") as caught:
        train(tiny_config(**options), str(tmp_path / "run"), quiet=True)
    for name, value in options.items():
        shown = list(value) if isinstance(value, tuple) else value
        assert f"{name} = {shown}" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_the_command_says_so_in_one_line(tmp_path):
    refused = program(
        *("train", "--config=configs/adding.py", "--config.model.hidden_sizes=(200000,)"),
        f"--workdir={tmp_path / 'run'}",
        expect=2,
    )
    assert one_line(refused.stderr)
    assert "GiB" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_what_is_judged_or_shown_afterwards_has_to_fit_as_well(tmp_path, monkeypatch):
    config = tiny_config(**{"task.length": 30, "model.hidden_sizes": (64,)})
    run = train(config, str(tmp_path / "run"), quiet=True)
    told = r"^this {} needs at least .* GiB of memory per device \(.* and there are .* GiB: {}$"
    with pytest.raises(RunError, match=told.format("evaluation", "reduce --lengths=2147483647")):
        evaluate(run, 2**31 - 1)
    evaluate(run, 60)
    gates = 2 * 2 * 128 * 30 * 64 * 4  # of two seeds
    monkeypatch.setattr(memory, "available", lambda _: gates - 1)
    with pytest.raises(RunError, match=told.format("figure", "reduce --examples=128")):
        record(run)
    record(run, examples=64)
    monkeypatch.setattr(memory, "available", lambda _: 2 * gates)
    record(run)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("adding", "evaluate at less than 100 with --lengths"),
        ("digits", "this run's needs a device with more"),
    ],
)
def test_an_evaluation_as_in_training_that_cannot_fit_is_told_what_helps(
    tmp_path, monkeypatch, name, advice
):
    config = importlib.import_module(f"configs.{name}").get_config()
    config.train.update({"steps": 2, "log_every": 1, "checkpoint_every": 2, "batch_size": 2})
    config.population.seeds = 1
    run = train(config, str(tmp_path / "run"), quiet=True)
    monkeypatch.setattr(memory, "available", lambda _: 1000)
    with pytest.raises(RunError, match=rf"^this evaluation .* GiB: {advice}$"):
        evaluate(run)


def test_test_examples_of_a_data_set_are_judged_as_well():
    settings = resolve(digits.get_config())
    mesh = make_mesh(*settings.mesh_sizes)
    task = settings.experiment.task
    many = dict(task.splits)
    many["test"] = jax.tree.map(lambda rows: np.repeat(rows, 500, axis=0), many["test"])
    experiment = dataclasses.replace(
        settings.experiment, task=dataclasses.replace(task, splits=many)
    )
    more = dataclasses.replace(settings, experiment=experiment)
    (states, few), (same, passes) = needed(settings, mesh), needed(more, mesh)
    assert (same, passes > 5 * few) == (states, True)


def test_it_is_given_back_at_every_checkpoint(tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr(loop, "release", lambda: given.append(None))
    train(tiny_config(), str(tmp_path / "run"), quiet=True)
    assert len(given) == 2  # of 40 steps, one every 20


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep nothing")
def test_free_memory_goes_back_to_the_system():
    program = """
import numpy as np
from experiments.system.memory import release
def resident():
    lines = open("/proc/self/status").read().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])
arrays = [np.ones(100_000, np.uint8) for _ in range(1000)]
del arrays[:-1]  # the last one lies above them, so that they are kept
before = resident()
release()
print(before - resident())
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert int(found.stdout) > 50_000  # kB, of about 100,000


@pytest.mark.quick
@pytest.mark.parametrize(
    ("platforms", "package", "file", "expected"),
    [
        ("", "jax_plugins", "/dev/nvidia0", True),
        ("cuda,cpu", "jax_plugins", "/dev/kfd", True),
        ("", "libtpu", "/dev/accel0", True),
        ("cpu", "jax_plugins", "/dev/nvidia0", False),
        ("", "jax_plugins", "/dev/accel0", False),  # of another maker than the package's
        ("", "jaxlib", "/dev/nvidia0", False),
        ("", "jax_plugins", "", False),
    ],
)
def test_an_accelerator_is_seen_without_taking_it(platforms, package, file, expected, monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", platforms)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name == package)
    monkeypatch.setattr(os.path, "exists", lambda path: path == file)
    assert memory.accelerated() == expected
