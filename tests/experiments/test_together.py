"""Runs that are trained as one population: what each leaves is what it leaves alone."""

import json

import numpy as np
import pytest

from experiments.runs import load
from experiments.runs.records import read_metrics, read_summary
from experiments.settings.resolution import resolve
from experiments.training.loop import train_settings, train_together
from tests.programs import bits, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

# What needs no other program: rates, clips, starts, seeds, how many of them.
RUNS = [
    {"optimizer.learning_rate": 0.01},
    {"optimizer.learning_rate": 0.003, "optimizer.clip_norm": 0.1, "population.seeds": 1},
    {"model.chrono_max": 20.0, "population.first_seed": 5, "population.seeds": 3},
    {"model.keeping_bias": 1.0},
]


def settings_of(changes, **common):
    config = tiny_config(**common)
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    return resolve(config)


def members(folder, **common):
    runs = [settings_of(changes, **common) for changes in RUNS]
    return [(settings, folder / str(number)) for number, settings in enumerate(runs)]


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    runs = members(tmp_path_factory.mktemp("together"))
    return train_together(runs, quiet=True)


def close(folder, other, tolerance=1e-5):
    rows, others = read_metrics(folder), read_metrics(other)
    assert len(rows) == len(others) > 0
    for row, expected in zip(rows, others, strict=True):
        assert row.keys() == expected.keys()
        for name, value in row.items():
            if isinstance(value, float):
                np.testing.assert_allclose(value, expected[name], rtol=tolerance, atol=1e-7)
            else:
                assert value == expected[name], name


@pytest.mark.parametrize("number", range(len(RUNS)))
def test_each_run_is_what_it_is_alone(together, tmp_path, number):
    alone = train_settings(settings_of(RUNS[number]), tmp_path / "alone", quiet=True)
    run = together[number]
    close(run.workdir, alone.workdir)
    for leaf, expected in zip(*(map(np.asarray, _leaves(r)) for r in (run, alone)), strict=True):
        np.testing.assert_allclose(leaf, expected, rtol=1e-4, atol=1e-6)
    told, expected = read_summary(run.workdir), read_summary(alone.workdir)
    for name in ("status", "step", "seeds", "solved_step", "diverged_step", "parameters"):
        assert told[name] == expected[name]
    names = {path.name for path in run.workdir.iterdir() if "tfevents" not in path.name}
    assert names == {p.name for p in alone.workdir.iterdir() if "tfevents" not in p.name}
    assert bits(load(run.workdir)) == bits(run)


def _leaves(run):
    import jax

    return jax.tree.leaves(run.state)


def test_they_resume_together_with_the_same_bits(together, tmp_path):
    runs = members(tmp_path)
    looks = iter(range(100))
    stopped = train_together(runs, quiet=True, stop=lambda: int(next(looks) == 1))
    assert {run.summary["status"] for run in stopped} == {"stopped"}
    assert {run.summary["step"] for run in stopped} == {10}
    for run, expected in zip(train_together(runs, quiet=True), together, strict=True):
        assert bits(run) == bits(expected)
        assert read_metrics(run.workdir) == read_metrics(expected.workdir)


def test_those_that_a_kill_has_parted_meet_at_the_end(together, tmp_path):
    runs = members(tmp_path)
    looks = iter(range(100))
    train_settings(*runs[0], quiet=True, stop=lambda: int(next(looks) == 2))  # 20 steps ahead
    for run, expected in zip(train_together(runs, quiet=True), together, strict=True):
        assert run.summary["status"] == "completed"
        close(run.workdir, expected.workdir)


def test_one_that_is_solved_early_ends_early(tmp_path):
    easy = {"train.target": 0.2, "train.steps": 200, "train.checkpoint_every": 100}
    runs = [
        (settings_of({"optimizer.learning_rate": rate}, **easy), tmp_path / str(rate))
        for rate in (0.03, 1e-6)
    ]
    quick, slow = train_together(runs, quiet=True)
    assert quick.summary["step"] < slow.summary["step"] == 200
    assert None not in quick.summary["solved_step"]
    for settings, workdir in runs:
        alone = train_settings(settings, workdir.with_suffix(".alone"), quiet=True)
        close(workdir, alone.workdir)
    assert [row["step"] for row in read_metrics(quick.workdir)][-1] == quick.summary["step"]
    assert quick.summary["wall_seconds"] < slow.summary["wall_seconds"]


def test_a_fault_in_one_leaves_the_others_as_they_are(together, tmp_path):
    changes = [*RUNS[:3], {**RUNS[3], "optimizer.learning_rate": 1e30, "optimizer.clip_norm": 0.0}]
    runs = [(settings_of(change), tmp_path / str(number)) for number, change in enumerate(changes)]
    found = train_together(runs, quiet=True)
    assert found[3].summary["status"] == "diverged"
    for run, expected in zip(found[:3], together[:3], strict=True):
        assert bits(run) == bits(expected)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.learning_rate": 0.5, "optimizer.clip_norm": 0.0},
        {"population.seeds": 3, "population.first_seed": 7},
        {"model.keeping_bias": -1.0},
        {"model.chrono_max": 9.0},
        {"train.checkpoints_kept": 5},
        {"name": "another"},
    ],
    ids=str,
)
def test_what_shares_a_program(changes):
    settings, other = settings_of({}), settings_of(changes)
    assert settings.program == other.program
    assert hash(settings.program) == hash(other.program)


@pytest.mark.quick
@pytest.mark.parametrize(
    "changes",
    [
        {"task.length": 7},
        {"task.protocol": "anywhere"},
        {"model.cell": "lstm"},
        {"model.hidden_sizes": (5,)},
        {"model.gru.reset": "open"},
        {"model.gru.activation": "relu"},
        {"model.unroll": 2},
        {"optimizer.beta1": 0.5},
        {"optimizer.schedule": "cosine", "optimizer.decay_steps": 40},
        {"train.batch_size": 8},
        {"train.evaluation_examples": 16},
        {"train.target": 0.5},
        {"train.steps": 80},
        {"train.log_every": 20},
        {"train.checkpoint_every": 40},
    ],
    ids=str,
)
def test_what_needs_a_program_of_its_own(changes):
    assert settings_of({}).program != settings_of(changes).program


def test_summaries_are_valid_json(together):
    for run in together:
        json.loads((run.workdir / "summary.json").read_text())
