"""How long the rest of a sweep takes."""

import time
import types

import pytest

from experiments.sweeps import estimates
from experiments.sweeps.folder import DONE, FAILED, RUNNING, WAITING, State


def test_the_time_left_is_that_of_the_work_left(monkeypatch):
    now = types.SimpleNamespace(time=50.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.time)
    work = {"small": 1.0, "large": 3.0}
    monkeypatch.setattr(estimates, "work", lambda settings: work[settings.name])
    settings = {name: types.SimpleNamespace(name=name, steps=100) for name in work}
    states = {"small": State(RUNNING, 50), "large": State(WAITING)}
    progress = estimates.Progress(settings, states)
    assert progress.share(states) == pytest.approx(0.5 / 4)
    assert progress.left(states) is None
    now.time += 10
    states |= {"small": State(DONE, 70)}
    assert progress.left(states) == pytest.approx(10 * 3 / 0.5)
    assert progress.share(states | {"large": State(FAILED, 3)}) == 1
