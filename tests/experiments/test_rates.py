"""The learning rate among the metrics."""

import json

import numpy as np
import pytest

from experiments.runs.records import read_metrics
from experiments.settings.resolution import resolve
from experiments.system.files import RunError
from experiments.training.loop import _Member
from experiments.training.recorder import Recorder, recorder
from gru_jax.training import NOT_YET
from tests.programs import tiny_config

pytestmark = pytest.mark.quick
CONFIG = {
    "optimizer.schedule": "warmup_cosine",
    "optimizer.warmup_steps": 5,
    "train.steps": 20,
    "population.learning_rates": (0.1, 0.2),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What a run has recorded whose rate rises for five steps and then falls for fifteen."""
    settings, folder = resolve(tiny_config(**CONFIG)), tmp_path_factory.mktemp("rates") / "run"
    seeds = np.ones(2)
    judged = dict.fromkeys(settings.experiment.task.metric_names, seeds)
    measured = {"train": {**judged, "gradient_norm": seeds}, "eval": judged, "learning": seeds}
    with recorder(folder, settings) as record, record.writing(0, quiet=True):
        member = _Member(settings, folder, record, {}, 0, 0, 0.0)
        for member.step in (10, 20):
            member.chunk(measured, seeds * NOT_YET, seeds * NOT_YET)
    return folder, settings


def test_the_rate_of_each_seed_is_logged_where_it_varies(run):
    factors = {10: 0.835, 20: 0.0109}  # (1 + cos(pi k / 15)) / 2 for the steps k = 4 and 14 of it
    rows = read_metrics(run[0])
    assert len(rows) == 8
    for row in rows:
        assert ("learning_rate" in row) == (row["split"] == "train")
        if row["split"] == "train":
            peak = CONFIG["population.learning_rates"][row["seed"]]
            assert row["learning_rate"] == pytest.approx(peak * factors[row["step"]], rel=0.01)


def test_tensorboard_shows_it(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run[0])).Reload().Scalars("train_learning_rate/seed_1")
    assert [(each.step, round(each.value, 3)) for each in events] == [(10, 0.167), (20, 0.002)]


def test_a_rate_that_is_the_same_for_all_is_not_logged():
    assert not resolve(tiny_config()).rate_varies
    assert resolve(tiny_config(**{"population.learning_rates": (0.1, 0.2)})).rate_varies
    assert resolve(tiny_config(**{"optimizer.schedule": "cosine"})).rate_varies


def test_a_run_that_was_begun_without_it_can_go_on(run):
    folder, settings = run
    path = folder / "metrics.jsonl"
    record = Recorder(folder, settings, lambda: None)
    whole = path.read_text()
    rows = read_metrics(folder)
    for row in rows:
        row.pop("learning_rate", None)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert record.newest({}) is None  # there is no checkpoint yet, and nothing is damaged
    path.write_text(whole.replace("learning_rate", "rate"))
    with pytest.raises(RunError, match=r"line 1 is damaged"):
        record.newest({})
