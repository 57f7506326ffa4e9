"""What the lines of figures show is what their names say."""

import io

import numpy as np
import pytest

from experiments.figures import curves, gradients, style
from experiments.settings.resolution import resolve
from tests.programs import tiny_config


@pytest.fixture(autouse=True)
def figures_as_they_are(monkeypatch):
    monkeypatch.setattr(style, "saved", lambda figure: figure)


def line(axis, label):
    (found,) = (line for line in axis.lines if line.get_label() == label)
    return np.asarray(found.get_ydata())


def logged(losses):
    """The lines of metrics.jsonl, from the losses of the seeds by step."""
    return [
        {"split": split, "step": step, "seed": seed, "loss": loss, "correct": 0.5}
        | {"gradient_norm": 1.0}
        for step, each in losses.items()
        for seed, loss in enumerate(each)
        for split in ("train", "eval")
    ]


@pytest.mark.quick
def test_a_seed_that_is_done_keeps_its_last_value_in_the_median():
    losses = {10: (3.0, 2.0, 1.0), 20: (2.5, 1.0), 30: (0.5, 2.0)}  # the third is done at 10
    figure = curves.learning(resolve(tiny_config()), logged(losses))
    np.testing.assert_array_equal(line(figure.axes[0], "median"), [2, 1, 1])


@pytest.mark.quick
def test_a_loss_that_is_not_finite_counts_as_infinite_in_the_median():
    losses = {10: (3.0, 2.0, 1.0), 20: (2.0, None, 1.0), 30: (0.5, None, None)}
    figure = curves.learning(resolve(tiny_config()), logged(losses))
    np.testing.assert_array_equal(line(figure.axes[0], "median"), [2, 2, np.inf])
    figure.savefig(io.BytesIO())  # without a warning


@pytest.mark.quick
def test_before_and_after_training_have_their_names():
    measured = lambda log: {
        "gru": {
            "lags": [0, 1],
            "transport": {part: [0.0, log] for part in ("low", "median", "high")},
        }
    }
    figure = gradients._trained(measured(-2.0), measured(-1.0))
    np.testing.assert_allclose(line(figure.axes[0], "before training"), np.exp([0, -2]))
    np.testing.assert_allclose(line(figure.axes[0], "after"), np.exp([0, -1]))
