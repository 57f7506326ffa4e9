"""A schedule that decays ends with its run, and not before."""

import re

import pytest

from experiments.runs.workdir import check_config, open_workdir
from experiments.settings.resolution import resolve
from experiments.system.files import RunError
from gru_jax import FieldError
from tests.programs import tiny_config

pytestmark = pytest.mark.quick


def settings(**changes):
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return resolve(tiny_config(**{"optimizer.schedule": "cosine", **named}))


def test_a_cosine_follows_the_steps_of_the_run():
    for steps in (40, 60):
        factor = settings(train__steps=steps).experiment.optimizer.schedule_factor()
        assert factor(0) == 1
        assert factor(steps // 2) == pytest.approx(0.5)
        assert factor(steps - 1) > 0
        assert factor(steps) == pytest.approx(0, abs=1e-6)
    assert settings(optimizer__decay_steps=80).experiment.optimizer.decay_steps == 80
    warmed = settings(optimizer__schedule="warmup_cosine", optimizer__warmup_steps=10)
    assert warmed.experiment.optimizer.schedule_factor()(10) == 1
    assert warmed.experiment.optimizer.decay_steps == 40


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"optimizer__decay_steps": 30},
            "decay_steps = 30: must be 0, to follow train.steps, or at least those (40)",
        ),
        ({"optimizer__decay_steps": -1}, "decay_steps = -1: must be a whole number, at least 1"),
        (
            {"optimizer__schedule": "warmup_cosine", "optimizer__warmup_steps": 40},
            "warmup_steps = 40: must be below train.steps (40)",
        ),
        (
            {"optimizer__schedule": "constant", "optimizer__decay_steps": 40},
            "decay_steps = 40: must be 0 with a schedule that does not decay",
        ),
    ],
)
def test_a_schedule_that_ends_too_early(changes, message):
    with pytest.raises(FieldError, match=f"^config.optimizer.{re.escape(message)}"):
        settings(**changes)


def test_a_stored_run_whose_schedule_ended_early_can_still_be_read():
    """Of an earlier schema, which allowed it; also a stored config may be run again, and longer."""
    stored = settings().config
    stored["optimizer"]["decay_steps"] = 30
    with pytest.raises(FieldError, match="decay_steps = 30: must be 0, to follow"):
        resolve(stored)
    stored["schema"] = 2
    assert resolve(stored).experiment.optimizer.decay_steps == 30


def test_a_run_is_extended_only_where_its_schedule_stays(tmp_path):
    open_workdir(tmp_path, settings())
    with pytest.raises(RunError, match=r"cannot go on from a .* rate .* 0 at step 40; start a new"):
        check_config(tmp_path, settings(train__steps=60), extend=True)
    with pytest.raises(RunError, match=r"steps is 40 there and 60 here$"):
        check_config(tmp_path, settings(train__steps=60))
    for path in tmp_path.iterdir():
        path.unlink()
    open_workdir(tmp_path, settings(optimizer__decay_steps=80))
    longer = settings(optimizer__decay_steps=80, train__steps=60)
    check_config(tmp_path, longer, extend=True)
    with pytest.raises(RunError, match=r"\(--extend raises it\)$"):
        check_config(tmp_path, longer)
    with pytest.raises(RunError, match=r"steps is 40 there and 60 here$"):
        check_config(tmp_path, longer, extend=None)  # as a sweep does, which cannot extend
