"""CogScale's tasks: the data and the score of its package, and its authors' protocol."""

import importlib.util
import os
import subprocess
import sys

import cogscale
import jax
import numpy as np
import pytest

from configs import cogscale as config_file
from experiments.datasets.sources import load_task
from experiments.evaluate import evaluate
from experiments.runs import load
from experiments.settings.resolution import resolve
from experiments.train import train
from experiments.training.loop import train_settings
from gru_jax import FieldError, training
from gru_jax.devices import make_mesh
from gru_jax.streams import TEST, TRAIN, VALIDATION
from gru_jax.tasks.base import UNASKED
from tests.programs import ROOT, bits

pytestmark = pytest.mark.usefixtures("least_effort")
SPLITS = {TRAIN: "train", VALIDATION: "valid", TEST: "test"}
SEED = 3
EVERY_PROBLEM = pytest.mark.parametrize("problem", cogscale.tasks)


def config_of(problem, **overrides):
    config = config_file.get_config(f"{problem},small")
    with config.unlocked():
        config.update_from_flattened_dict({"model.hidden_sizes": (6,), **overrides})
    return config


@EVERY_PROBLEM
def test_data_and_score_are_those_of_the_package(problem):
    task = load_task("cogscale", problem=problem, difficulty="small").judged_on(TEST)
    made = cogscale.build_task(problem, difficulty="small", seed=SEED)
    splits = task.made(SEED)
    for split, name in SPLITS.items():
        np.testing.assert_allclose(splits[split].inputs, made[f"X_{name}"], rtol=1e-6)
    batch, targets = splits[TEST], made["Y_test"]
    outputs = np.random.default_rng(0).normal(size=targets.shape).astype(np.float32)
    metrics = task.metrics(outputs, batch)
    found = {n: np.average(each, weights=task.weights(batch)) for n, each in metrics.items()}
    score = cogscale.compute_score(targets, outputs, made["category"])
    ours = found["loss"] if made["category"] == "regression" else 1 - found["accuracy"]
    np.testing.assert_allclose(ours, score, rtol=1e-5)


@pytest.mark.parametrize("seed", [0, SEED])
def test_sentences_are_those_of_the_package_with_words_in_the_order_of_the_alphabet(seed):
    task = load_task("cogscale", problem="cross_situation", difficulty="small")
    splits = task.made(seed)
    spec = importlib.util.find_spec("cogscale.tasks")
    fresh = importlib.util.module_from_spec(spec)  # which enumerates them anew
    spec.loader.exec_module(fresh)
    params = cogscale.evals.cogscale_small["cross_situation"]["params"]
    made = fresh.generate_csl(**{**params, "seed": seed})
    told = {name: params[name] for name in ("objects", "colors", "positions")}
    words = fresh.TwoSituationCSLDataset(**told).input_encoder.words
    for split, name in SPLITS.items():
        ordered = made[f"X_{name}"][..., np.argsort(words)]
        np.testing.assert_array_equal(splits[split].inputs, ordered)
        np.testing.assert_array_equal(splits[split].targets[:, -1], made[f"Y_{name}"][:, -1])


MADE = """
import hashlib
import cogscale
import numpy as np
from experiments.datasets.sources import load_task

for problem in cogscale.tasks:
    splits = load_task("cogscale", problem=problem, difficulty="small").made(0)
    made = [splits[name] for name in sorted(splits)]
    arrays = [array for each in made for array in (each.inputs, each.targets)]
    told = hashlib.sha256(b"".join(np.asarray(array).tobytes() for array in arrays))
    print(problem, told.hexdigest())
"""


def test_every_process_makes_the_same_examples():
    """Python orders a set of words otherwise in each process, unless it is told how."""
    found = [
        subprocess.run(
            [sys.executable, "-c", MADE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len({*found[0]}) == len(cogscale.tasks)


@EVERY_PROBLEM
def test_a_model_that_says_the_targets_makes_no_error(problem):
    task = load_task("cogscale", problem=problem, difficulty="small")
    held = task.made(SEED)[VALIDATION]
    targets = np.asarray(held.targets)
    if targets.ndim == 2:
        outputs = 50 * np.eye(task.output_size, dtype=np.float32)[targets.clip(0)]
    else:
        outputs = np.nan_to_num(targets.astype(np.float32))
        outputs = 50 * (2 * outputs - 1) if np.issubdtype(targets.dtype, np.integer) else outputs
    metrics = task.metrics(outputs, held)
    assert np.abs(metrics["loss"]).max() < 1e-6
    if "accuracy" in metrics:
        assert np.min(metrics["accuracy"]) == 1
        assert (targets == UNASKED).any()


@EVERY_PROBLEM
def test_its_authors_protocol(problem):
    settings = resolve(config_of(problem))
    task, size = settings.experiment.task, settings.experiment.batch_size
    epoch = task.counts[TRAIN]
    assert size == min(10, epoch)
    assert settings.experiment.chunk * size == epoch
    assert settings.steps * size == 200 * epoch
    assert settings.experiment.patience == 10
    assert settings.experiment.keep == "best"
    assert settings.experiment.target is None
    assert settings.experiment.target_metric == (
        "accuracy" if "accuracy" in task.metric_names else "loss"
    )


@pytest.mark.parametrize("argument", ["copy,small", "simple_copy,huge", "simple_copy,"])
def test_a_bad_argument(argument):
    config = config_file.get_config(argument)
    if argument.endswith(","):
        assert config.task.difficulty == "medium"
    else:
        with pytest.raises(FieldError, match="must be"):
            load_task(**config.task)


def test_a_run_judges_each_seed_on_its_own_examples_and_is_resumed_to_the_same_bits(tmp_path):
    options = {"population.seeds": 3, "train.steps": 30, "train.checkpoint_every": 10}
    config = config_of("adding_problem", **options)
    whole = train(config, str(tmp_path / "whole"), quiet=True)
    parts = config_of("adding_problem", **{**options, "train.steps": 10})
    train(parts, str(tmp_path / "parts"), quiet=True)
    resumed = train_settings(resolve(config), tmp_path / "parts", quiet=True, extend=True)
    assert bits(resumed) == bits(whole)
    run = load(tmp_path / "whole")
    assert evaluate(run, split=TEST)["accuracy"] == pytest.approx(
        run.summary["test"]["accuracy"]["per_seed"]
    )
    task = run.settings.experiment.task
    for seed, model in zip(run.settings.seeds, run.models, strict=True):
        held = task.made(seed)[TEST]
        outputs = model(np.asarray(held.inputs, np.float32))
        expected = np.mean(task.metrics(outputs, held)["accuracy"])
        assert run.summary["test"]["accuracy"]["per_seed"][seed] == pytest.approx(expected)


@pytest.mark.parametrize("problem", config_file.FORECASTS)
def test_a_forecast_is_learned_from_one_sequence_and_judged_on_a_longer_one(problem, tmp_path):
    train(config_of(problem, **{"population.seeds": 2}), str(tmp_path), quiet=True)
    run = load(tmp_path)
    task = run.settings.experiment.task
    lengths = {split: len(made.inputs[0]) for split, made in task.made(0).items()}
    assert lengths[TRAIN] != lengths[TEST]
    for seed, kept in enumerate(run.summary["test"]["loss"]["per_seed"]):
        held = [row["loss"] for row in run.metrics if (row["split"], row["seed"]) == ("eval", seed)]
        assert min(held) < 0.7 * held[0]
        last = task.made(seed)[TEST]
        expected = float(np.mean(task.metrics(run.models[seed](last.inputs), last)["loss"]))
        assert kept == pytest.approx(expected, rel=1e-3)
    assert run.summary["baseline_loss"] > 0


def test_runs_that_differ_in_rate_and_seed_are_one_population():
    first = resolve(config_of("simple_copy"))
    other = resolve(config_of("simple_copy", **{"optimizer.learning_rate": 1e-3}))
    assert first.program == other.program
    mesh = make_mesh(2, 1)
    placed = training.placed_data(first.experiment, mesh, (5, 1))
    for place, seed in enumerate((5, 1)):
        own = first.experiment.task.made(seed)[TRAIN]
        for whole, part in zip(jax.tree.leaves(placed[TRAIN]), jax.tree.leaves(own), strict=True):
            np.testing.assert_array_equal(whole[place], part)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.cell": "lem"}, "config.model.start = 'torch': must be cell .*PyTorch has no"),
        ({"model.chrono_max": 9.0}, "config.model.start = 'torch': must be cell, with keeping_"),
        ({"model.start": "keras"}, "config.model.start = 'keras': must be one of cell, torch"),
    ],
)
def test_a_start_that_cannot_be(changes, message):
    with pytest.raises(FieldError, match=message):
        resolve(config_of("simple_copy", **changes))
