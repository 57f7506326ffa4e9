"""The script behind the committed results: its choice, its table, and what is committed."""

import json
import math

import numpy as np
import pytest

from scripts import results


@pytest.fixture(scope="module")
def committed():
    return json.loads(results.RESULTS.read_text())


def test_readme_shows_what_results_hold(committed):
    assert results.readme(results.README.read_text(), committed) == results.README.read_text()


def test_every_result_says_what_it_takes_to_repeat_it(committed):
    names = [{results.name(trial) for trial in trials} for trials in (committed, results.trials())]
    assert names[0] == names[1]
    for trial in committed:
        assert len(trial["seeds"]) == 8
        assert trial["command"] == " ".join(results.command(trial))
        environment = trial["environment"]
        assert environment["commit"]
        assert not environment["modified"]
        assert environment["packages"]["jax"]
        for seed, solved in enumerate(trial["solved_step"]):
            loss = trial["eval"]["loss"]["per_seed"][seed]
            assert math.isfinite(loss)
            if solved is not None and trial["task"] == "adding":
                assert loss < 1e-3


def test_the_default_command_solves_adding_for_every_seed(committed):
    (trial,) = (t for t in committed if results.name(t) == "adding-100-gru-0.01")
    assert None not in trial["solved_step"]


def trial(rate, losses, solved):
    return {
        "task": "adding",
        "length": 100,
        "cell": "gru",
        "learning_rate": rate,
        "budget": 2000,
        "eval": {"loss": {"per_seed": losses}},
        "solved_step": solved,
    }


@pytest.mark.parametrize("order", [1, -1])
def test_the_better_rate_solves_more_seeds_and_then_has_the_lower_loss(order):
    more = trial(1e-2, [0.1, 0.2], [50, None])
    fewer = trial(1e-3, [0.01, 0.02], [None, None])
    assert results.best([more, fewer][::order]) == [more]
    low, high = trial(1e-2, [0.01, 0.02], [None, None]), trial(1e-3, [0.1, 0.2], [None, None])
    assert results.best([low, high][::order]) == [low]


def test_curves_hold_the_last_loss_of_a_frozen_seed():
    row = lambda step, seed, loss: {"step": step, "split": "eval", "seed": seed, "loss": loss}
    metrics = [row(10, 0, 0.1), row(10, 1, 0.3), row(20, 1, 0.2), row(30, 1, 0.1)]
    curve = results._curve(metrics, 2)
    assert curve["step"] == [10, 20, 30]
    np.testing.assert_allclose(curve["high"], [0.3, 0.2, 0.1])
    np.testing.assert_allclose(curve["median"], [0.1, 0.1, 0.1])
