"""What holds for every task: shapes, the baseline, streams of data, other lengths, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import TASKS, Adding, CopyMemory, FieldError
from gru_jax.tasks import (
    BracketCounting,
    Classification,
    CopyFirst,
    CumulativeSum,
    FlipFlop,
    FormalLanguage,
    MeanComparison,
    Savings,
    SelectiveCopy,
    TemporalOrder,
    VariableCopy,
    Verdict,
    WordProblem,
)
from gru_jax.tasks.base import Example, evaluation_batch, training_batch
from tests.batches import SIZE, batch_of

pytestmark = pytest.mark.usefixtures("least_effort")

# Each option at some length, and each length with some option.
PROTOCOLS = [
    *(Adding(length, protocol) for length in (30, 61) for protocol in ("halves", "hochreiter")),
    Adding(61, "anywhere"),
    *(CopyMemory(*options) for options in ((1, "arjovsky"), (30, "arjovsky"), (30, "tcn"))),
    *(FlipFlop(*options) for options in ((2, 0.8), (30, 0.0), (30, 0.8))),
    *(BracketCounting(*sizes) for sizes in ((7, 2), (30, 10))),
    *(CopyFirst(length) for length in (1, 30)),
    *(CumulativeSum(*sizes) for sizes in ((1, 2), (30, 5))),
    *(MeanComparison(length) for length in (1, 30)),
    *(Savings(*options) for options in ((1, 0.1), (30, 0.0), (30, 0.1))),
    *(SelectiveCopy(*sizes) for sizes in ((8, 8, 8), (30, 2, 3))),
    *(TemporalOrder(*options) for options in ((10, 3), (100, 2), (100, 3))),
    *(VariableCopy(length) for length in (1, 30)),
    *(Verdict(*options) for options in ((4, "start"), (30, "end"), (30, "start"))),
    *(FormalLanguage(11, language, 11, 11) for language in ("modular_arithmetic", "bucket_sort")),
    *(WordProblem(*options) for options in ((1, "S3"), (10, "Z60"))),
]
EVERY_PROTOCOL = pytest.mark.parametrize("task", PROTOCOLS, ids=str)


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

    @jax.jit
    def judged(outputs, batch):
        metrics = task.metrics(outputs, batch)
        assert tuple(metrics) == task.metric_names
        return task.loss(outputs, batch), metrics

    loss, metrics = judged(outputs, batch)
    assert loss.shape == (5,)
    assert all(value.shape == (5,) for value in metrics.values())
    np.testing.assert_array_equal(metrics["loss"], loss)


def test_what_is_not_asked_does_not_count():
    task = CumulativeSum(4)
    targets = jnp.array([[1, -1, 0, -1]])
    batch = Example(jnp.zeros((1, 4), int), targets)
    outputs = jnp.array([[[0.0, 2.0], [9.0, -9.0], [0.0, 3.0], [-9.0, 9.0]]])
    found = task.metrics(outputs, batch)
    expected = (np.log1p(np.exp(-2.0)) + np.log1p(np.exp(3.0))) / 2
    np.testing.assert_allclose(found["loss"], [expected], rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], [0.5])


@EVERY_PROTOCOL
def test_the_baseline_is_the_best_loss_without_the_inputs(task):
    """The best constant prediction for each step has that loss on other examples."""

    @jax.jit
    def blind_loss(fit, unseen):
        if isinstance(task, Classification):
            counts = jax.nn.one_hot(fit.targets, task.output_size).mean(axis=0)
            blind = jnp.log(counts + 1e-9)
        else:
            blind = fit.targets.mean(axis=0)
        outputs = jnp.broadcast_to(blind, (SIZE, *blind.shape))
        return task.loss(outputs, unseen).mean()

    found = blind_loss(training_batch(task, 0, 0, jnp.arange(SIZE)), batch_of(task, SIZE))
    np.testing.assert_allclose(found, task.baseline_loss, rtol=0.02)


@EVERY_PROTOCOL
def test_data_depends_on_seed_step_and_index_alone(task):
    def stream(seed, step, first=0):
        batch = training_batch(task, seed, step, first + jnp.arange(SIZE))
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:16], batch)

    together = stream(3, 7)
    turned = training_batch(task, 3, 7, jnp.arange(SIZE)[::-1])
    expected = jax.tree.map(lambda leaf: np.asarray(leaf)[:-17:-1], turned)
    jax.tree.map(np.testing.assert_array_equal, together, expected)
    streams = [together, stream(4, 7), stream(3, 8), stream(3, 7, 16), stream(0, 0)]
    streams.append(batch_of(task, 16))
    for index, one in enumerate(streams):
        for other in streams[:index]:
            assert (one.inputs != other.inputs).any()


@EVERY_PROTOCOL
def test_another_length(task):
    longer = task.with_length(task.length + 30)
    assert longer.with_length(task.length) == task
    longer_inputs = jax.eval_shape(lambda: evaluation_batch(longer, jnp.arange(2))).inputs
    assert longer_inputs.shape[1] == longer.steps > task.steps


def test_a_long_sum_does_not_leave_32_bits():
    example = CumulativeSum(100_000, 60_000).example(jax.random.key(0))
    whole = np.cumsum(np.asarray(example.inputs, np.int64))
    assert whole[-1] > 2**31
    np.testing.assert_array_equal(example.targets, whole % 60_000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Adding(1), "length = 1: must be a whole number, at least 2"),
        (lambda: Adding(21, "hochreiter"), "length = 21: must be a whole number, at least 22"),
        (lambda: Adding(10, "half"), "protocol = 'half': .*did you mean 'halves'"),
        (lambda: CopyMemory(0), "length = 0"),
        (lambda: CopyMemory(5, "bai"), "protocol = 'bai': must be one of arjovsky, tcn"),
        (lambda: Adding(100).with_length(-1), "length = -1"),
        (lambda: BracketCounting(5, 0), "depth = 0"),
        (lambda: CopyFirst(0), "length = 0"),
        (lambda: CumulativeSum(5, 1), "modulus = 1: must be a whole number, at least 2"),
        (lambda: MeanComparison(0), "length = 0"),
        (lambda: Savings(5, -0.1), "rate = -0.1"),
        (lambda: SelectiveCopy(7, 8), "length = 7: must be a whole number, at least 8"),
        (lambda: SelectiveCopy(9, 8, 1), "symbols = 1"),
        (lambda: TemporalOrder(9), "length = 9: must be a whole number, at least 10"),
        (lambda: TemporalOrder(100, 4), "relevant = 4: must be a whole number, in 2..3"),
        (lambda: VariableCopy(0), "length = 0"),
        (lambda: Verdict(3), "length = 3: must be a whole number, at least 4"),
        (lambda: Verdict(9, "middle"), "where = 'middle': must be one of end, start"),
        (lambda: FlipFlop(1), "length = 1: must be a whole number, at least 2"),
        (lambda: FormalLanguage(9, "parity_check"), "language = .*did you mean 'parity'"),
        (lambda: FormalLanguage(9, "parity", 10), "shortest = 10: .*, in 1..9"),
        (lambda: FormalLanguage(9, "parity", 1, 8), "longest = 8: .*, at least 9"),
        (lambda: WordProblem(0), "length = 0"),
        (lambda: WordProblem(9, "S6"), "group = 'S6': must be one of S3, S4"),
        (lambda: FlipFlop(9, 1.0), "ignore = 1.0: must be a finite number at least 0 and below 1"),
    ],
)
def test_bad_fields(make, message):
    with pytest.raises(FieldError, match=message):
        make()


def test_registry():
    assert {type(task) for task in PROTOCOLS} == set(TASKS.values())
    for name, task in TASKS.items():
        assert task.__module__ == f"gru_jax.tasks.{name}"
