"""What docs/performance.md predicts and shows, and how it is measured."""

import pytest

from gru_jax import devices
from scripts import performance, startup
from scripts.contenders import Ours, Work


@pytest.mark.parametrize("gradient", ["batched", "recomputed"])
@pytest.mark.parametrize("cell", performance.CELLS)
@pytest.mark.parametrize("work", [Work(16, 900, 10, 128), Work(64, 200, 3, 72)], ids=str)
def test_the_formula_predicts_what_is_planned(monkeypatch, cell, work, gradient):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)  # the tests have theirs
    ours = Ours(cell, work, gradient=gradient)
    expected = ours.taken["devices"] * performance.predicted(cell, work, ours.taken)
    assert ours.temporary_bytes == pytest.approx(expected, rel=0.15)


def test_the_first_metric_is_waited_for(tmp_path):
    options = ("--config.task.length=5", "--config.population.seeds=1", "--config.train.steps=100")
    assert 1 < startup.first_metric(tmp_path, "run", *options) < startup.PATIENCE
    assert list((tmp_path / "cache").iterdir())


def test_a_run_that_ends_without_a_metric_is_an_error(tmp_path):
    with pytest.raises(RuntimeError, match=r"no metric from .*--config.task.length=-1"):
        startup.first_metric(tmp_path, "run", "--config.task.length=-1")
