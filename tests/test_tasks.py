"""Every task: its examples checked one by one in NumPy, its baseline by simulation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import TASKS, Adding, CopyMemory, FieldError
from gru_jax.tasks import FlipFlop
from gru_jax.tasks.base import evaluation_batch, training_batch

PROTOCOLS = [
    *(
        Adding(length, protocol)
        for length in (30, 61)
        for protocol in ("halves", "anywhere", "hochreiter")
    ),
    *(CopyMemory(length, protocol) for length in (1, 30) for protocol in ("arjovsky", "tcn")),
    *(FlipFlop(length, ignore) for length in (2, 30) for ignore in (0.0, 0.8)),
]
EVERY_PROTOCOL = pytest.mark.parametrize("task", PROTOCOLS, ids=str)


def batch_of(task, size=400):
    return evaluation_batch(task, jnp.arange(size))


@EVERY_PROTOCOL
def test_shapes_are_those_announced(task):
    batch = batch_of(task, 5)
    if task.tokens:
        assert batch.inputs.shape == (5, task.steps)
        assert (batch.inputs >= 0).all()
        assert (batch.inputs < task.input_size).all()
    else:
        assert batch.inputs.shape == (5, task.steps, task.input_size)
    time = {"last": (), "every": (task.steps,)}[task.readout]
    outputs = jnp.zeros((5, *time, task.output_size))
    assert task.loss(outputs, batch).shape == (5,)
    metrics = task.metrics(outputs, batch)
    assert tuple(metrics) == task.metric_names
    assert all(value.shape == (5,) for value in metrics.values())
    np.testing.assert_array_equal(metrics["loss"], task.loss(outputs, batch))


@pytest.mark.parametrize("length", [2, 3, 100])
@pytest.mark.parametrize("protocol", ["halves", "anywhere"])
def test_adding(length, protocol):
    batch = batch_of(Adding(length, protocol))
    values, marks = np.asarray(batch.inputs[..., 0]), np.asarray(batch.inputs[..., 1])
    assert ((values >= 0) & (values < 1)).all()
    assert (marks.sum(axis=1) == 2).all()
    assert set(np.unique(marks)) <= {0, 1}
    np.testing.assert_allclose(batch.targets[:, 0], (values * marks).sum(axis=1), rtol=1e-6)
    if protocol == "halves":
        assert (marks[:, : length // 2].sum(axis=1) == 1).all()
    assert (marks.sum(axis=0) > 0).all(), "some step is never marked"


def test_adding_hochreiter():
    length = 50
    batch = batch_of(Adding(length, "hochreiter"), 2000)
    inputs = np.asarray(batch.inputs)
    lengths = np.asarray(batch.lengths)
    assert set(lengths) == set(range(50, 56))
    first_marked = 0
    for example, end, target in zip(inputs, lengths, np.asarray(batch.targets)[:, 0], strict=True):
        values, markers = example.T
        marked = np.flatnonzero(markers == 1)
        assert len(marked) == 2
        assert marked.min() < 10
        assert marked.max() < length // 2 - 1
        assert markers[end - 1] == -1
        assert markers[0] in (-1, 1)
        others = np.delete(markers, [0, end - 1, *marked])
        assert (others == 0).all()
        assert (example[end:] == 0).all()
        assert (np.abs(values) <= 1).all()
        if markers[0] == 1:
            first_marked += 1
            assert values[0] == 0
        np.testing.assert_allclose(target, 0.5 + values[marked].sum() / 4, rtol=1e-5)
    # 1/10 for the first mark, 9/10 * 1/23 for the second
    np.testing.assert_allclose(first_marked / 2000, 0.1 + 0.9 / 23, atol=0.03)
    assert (inputs[..., 0] < -0.5).any()


@pytest.mark.parametrize("length", [1, 2, 40])
@pytest.mark.parametrize("protocol", ["arjovsky", "tcn"])
def test_copy(length, protocol):
    batch = batch_of(CopyMemory(length, protocol))
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    delimiters = [9] + [0] * 10 if protocol == "arjovsky" else [9] * 11
    for example, target in zip(inputs, targets, strict=True):
        digits = example[:10]
        assert set(digits) <= set(range(1, 9))
        assert example[10:].tolist() == [0] * (length - 1) + delimiters
        assert target.tolist() == [0] * (length + 10) + digits.tolist()
    assert set(np.unique(inputs[:, :10])) == set(range(1, 9))


def test_worked_examples_of_the_docstrings():
    task = Adding(6)
    perfect = task.metrics(jnp.array([[1.4]]), jax.tree.map(lambda a: a[None], _adding_example()))
    assert perfect["loss"] == 0
    assert perfect["correct"] == 1
    wrong = task.metrics(jnp.array([[1.35]]), jax.tree.map(lambda a: a[None], _adding_example()))
    np.testing.assert_allclose(wrong["loss"], 0.0025, rtol=1e-4)
    assert wrong["correct"] == 0


def _adding_example():
    from gru_jax.tasks import Example

    values, marks = [0.3, 0.9, 0.1, 0.7, 0.2, 0.5], [0, 1, 0, 0, 0, 1.0]
    return Example(jnp.array([values, marks]).T, jnp.array([1.4]))


def test_copy_metrics():
    task = CopyMemory(5)
    batch = batch_of(task, 3)
    right = jax.nn.one_hot(batch.targets, task.output_size)
    assert (task.metrics(right, batch)["accuracy"] == 1).all()
    np.testing.assert_allclose(
        task.loss(right, batch), np.log(np.e + task.output_size - 1) - 1, rtol=1e-5
    )
    half = right.at[:, -5:].set(jax.nn.one_hot(jnp.zeros((3, 5), int), task.output_size))
    np.testing.assert_allclose(task.metrics(half, batch)["accuracy"], 0.5)


@pytest.mark.parametrize(("length", "ignore"), [(2, 0.5), (40, 0.0), (40, 0.8), (7, 0.5)])
def test_flip_flop(length, ignore):
    task = FlipFlop(length, ignore)
    batch = batch_of(task, 2000)
    inputs, targets = np.asarray(batch.inputs), np.asarray(batch.targets)
    assert (inputs[:, 0] < 2).all()
    assert (inputs[:, -1] == 4).all()
    for example, target in zip(inputs, targets, strict=True):
        kept = None
        for token, expected in zip(example, target, strict=True):
            kept = token if token < 2 else kept
            assert expected == (kept if token == 4 else -1)
    between = inputs[:, 1:-1]
    if length > 2:
        shares = [np.isin(between, kind).mean() for kind in ((0, 1), (2, 3), (4,))]
        expected = [(1 - ignore) / 2, ignore, (1 - ignore) / 2]
        np.testing.assert_allclose(shares, expected, atol=0.02)
    for bit in (0, 1):
        np.testing.assert_allclose((inputs[:, 0] == bit).mean(), 0.5, atol=0.05)
    right = jax.nn.one_hot(batch.targets, 2)
    assert (task.metrics(right, batch)["accuracy"] == 1).all()
    assert (task.metrics(-right, batch)["accuracy"] == 0).all()
    np.testing.assert_allclose(task.loss(right, batch), np.log(np.e + 1) - 1, rtol=1e-5)


@EVERY_PROTOCOL
def test_the_baseline_is_the_best_loss_without_the_inputs(task):
    """Simulated: the best constant (per step) has that loss on examples it was not fitted to."""
    fit = training_batch(task, 0, 0, jnp.arange(20_000))
    unseen = batch_of(task, 20_000)
    if task.tokens:
        counts = jax.nn.one_hot(fit.targets, task.output_size).mean(axis=0)
        blind = jnp.log(counts + 1e-9)
    else:
        blind = fit.targets.mean(axis=0)
    outputs = jnp.broadcast_to(blind, (20_000, *blind.shape))
    np.testing.assert_allclose(task.loss(outputs, unseen).mean(), task.baseline_loss, rtol=0.02)


@EVERY_PROTOCOL
def test_data_depends_on_seed_step_and_index_alone(task):
    together = training_batch(task, 3, 7, jnp.arange(8))
    apart = [training_batch(task, 3, 7, jnp.array([index])) for index in range(8)]
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *apart)
    jax.tree.map(np.testing.assert_array_equal, together, joined)
    streams = [
        together,
        training_batch(task, 4, 7, jnp.arange(8)),
        training_batch(task, 3, 8, jnp.arange(8)),
        training_batch(task, 3, 7, jnp.arange(8, 16)),
        training_batch(task, 0, 0, jnp.arange(8)),
        evaluation_batch(task, jnp.arange(8)),
    ]
    for index, one in enumerate(streams):
        for other in streams[:index]:
            assert (np.asarray(one.inputs) != np.asarray(other.inputs)).any()


@EVERY_PROTOCOL
def test_another_length(task):
    longer = task.with_length(task.length + 30)
    assert longer.with_length(task.length) == task
    assert batch_of(longer, 2).inputs.shape[1] == longer.steps > task.steps


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adding(1), "length = 1: must be a whole number, at least 2"),
        (lambda: Adding(21, "hochreiter"), "length = 21: must be a whole number, at least 22"),
        (lambda: Adding(10, "half"), "protocol = 'half': .*did you mean 'halves'"),
        (lambda: CopyMemory(0), "length = 0"),
        (lambda: CopyMemory(5, "bai"), "protocol = 'bai': must be one of arjovsky, tcn"),
        (lambda: Adding(100).with_length(-1), "length = -1"),
        (lambda: FlipFlop(1), "length = 1: must be a whole number, at least 2"),
        (lambda: FlipFlop(9, 1.0), "ignore = 1.0: must be a finite number at least 0 and below 1"),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(FieldError, match=message):
        make()


def test_registry():
    assert {task().__class__ for task in TASKS.values()} == set(TASKS.values())
