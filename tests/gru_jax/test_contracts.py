"""A cell or a task of one's own that is not what its contract asks for is told so in one line."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from experiments.settings.resolution import resolve
from experiments.system import commandline
from gru_jax import CELLS, RNN, TASKS, Adding, Cell, CopyMemory, GRUCell, SequenceModel
from gru_jax.experiment import Experiment
from gru_jax.fields import ContractError
from gru_jax.tasks.base import Classification, Example
from tests.programs import tiny_config


class Bare(GRUCell):
    """Its step returns a state alone."""

    def step(self, h, x):
        return jnp.tanh(h + self.update(x, h))


class Pair(GRUCell):
    """Its step returns what an RNNCell of Flax does."""

    def step(self, h, x):
        h, _ = super().step(h, x)
        return h, h


class Idle(Cell):
    """It has no step."""


RETURNS = "{}.step must return (new carry, {{name of a gate: its value}})"


@pytest.mark.quick
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Bare, RETURNS.format("Bare")),
        (Pair, RETURNS.format("Pair")),
        (Idle, "Idle must define step(carry, inputs)"),
    ],
)
def test_a_step_that_is_none(kind, message):
    x = jnp.ones((2, 3, 4))
    model = SequenceModel(kind, 4, 1, hidden_sizes=(5,), rngs=nnx.Rngs(0))
    layer = RNN(kind(4, 5, rngs=nnx.Rngs(0)))
    for call in (
        lambda: model(x),
        lambda: layer(x),
        lambda: layer(x, return_activations=True),
        lambda: layer.cell(jnp.zeros((2, 5)), x[:, 0]),
    ):
        with pytest.raises(ContractError) as caught:
            call()
        assert str(caught.value) == message  # `match` also sees what JAX notes on it


@dataclasses.dataclass(frozen=True)
class Parity(Classification):
    """Whether the ones are odd in number."""

    readout = "last"
    input_size = 1
    baseline_loss = 0.69

    def example(self, key):
        bits = jax.random.bernoulli(key, shape=(self.length, 1))
        return Example(bits.astype(jnp.float32), bits.sum() % 2)


class Whole(Parity):
    """The same, with what it lacks."""

    output_size = 2


class EveryStep(Whole):
    """Its targets are those of another readout."""

    def example(self, key):
        bits = jax.random.bernoulli(key, shape=(self.length, 1))
        return Example(bits.astype(jnp.float32), bits.cumsum() % 2)


class Flat(Whole):
    """Its inputs have no features."""

    def example(self, key):
        found = super().example(key)
        return dataclasses.replace(found, inputs=found.inputs[:, 0])


class Scalar(Adding):
    """Its targets would be compared with those of all other examples."""

    def example(self, key):
        found = super().example(key)
        return dataclasses.replace(found, targets=found.targets[0])


class Mean(Whole):
    """Its loss is that of the whole batch."""

    def loss(self, outputs, batch):
        return super().loss(outputs, batch).mean()


class Unnamed(Whole):
    """It has a metric of which it does not tell."""

    def metrics(self, outputs, batch):
        return {**super().metrics(outputs, batch), "more": self.loss(outputs, batch)}


def experiment(task):
    """Never built: what is wrong with the task is found before a model is laid out."""
    return Experiment(task(6), build=None)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("task", "message"),
    [
        (EveryStep, r"the targets of EveryStep's examples have shape (6,): must have ()"),
        (Flat, r"the inputs of Flat's examples have shape (6,): must have (6, 1)"),
        (Scalar, r"the targets of Scalar's examples have shape (): must have (1,)"),
        (
            Mean,
            "Mean.metrics: loss has shape () for a batch of 2: must have (2,), a number for each "
            "example",
        ),
        (Unnamed, "Unnamed.metrics returns accuracy, loss, more: must be accuracy, loss"),
        (Parity, "Parity must define output_size"),
    ],
)
def test_a_task_that_is_not_what_it_tells(task, message, monkeypatch, capsys):
    with pytest.raises(ContractError) as caught:
        experiment(task)
    assert str(caught.value) == message
    monkeypatch.setitem(TASKS, "mine", task)
    config = {**tiny_config().to_dict(), "task": {"name": "mine", "length": 6}}
    assert commandline.guarded(lambda: resolve(config)) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


@pytest.mark.quick
def test_tasks_that_are_what_they_tell():
    for task in (Whole, Adding, CopyMemory):
        experiment(task)


def test_a_step_is_told_before_anything_is_written(monkeypatch, tmp_path, capsys):
    from experiments.train import train

    monkeypatch.setitem(CELLS, "mine", Bare)
    config = tiny_config(**{"model.cell": "mine"})
    assert commandline.guarded(lambda: train(config, str(tmp_path / "run"))) == 2
    assert capsys.readouterr().err.startswith("error: Bare.step must return")
    assert list(tmp_path.iterdir()) == []
