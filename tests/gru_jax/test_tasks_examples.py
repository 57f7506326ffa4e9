"""The examples of each task, checked one by one in NumPy."""

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import Adding, CopyMemory
from gru_jax.tasks import (
    BracketCounting,
    CopyFirst,
    CumulativeSum,
    FlipFlop,
    MeanComparison,
    Savings,
    SelectiveCopy,
    TemporalOrder,
    VariableCopy,
    Verdict,
    WordProblem,
)
from gru_jax.tasks.base import Example
from gru_jax.tasks.word_problem import product_table
from tests.batches import batch_of, unpadded

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("least_effort")]


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
    # The first mark is at step 0 with probability 1/10, the second with 9/10 * 1/23.
    np.testing.assert_allclose(first_marked / 2000, 0.1 + 0.9 / 23, atol=0.03)
    assert (inputs[..., 0] < -0.5).any()


def test_worked_examples_of_the_docstrings():
    task = Adding(6)
    perfect = task.metrics(jnp.array([[1.4]]), jax.tree.map(lambda a: a[None], _adding_example()))
    assert perfect["loss"] == 0
    assert perfect["correct"] == 1
    wrong = task.metrics(jnp.array([[1.35]]), jax.tree.map(lambda a: a[None], _adding_example()))
    np.testing.assert_allclose(wrong["loss"], 0.0025, rtol=1e-4)
    assert wrong["correct"] == 0


def _adding_example():
    values, marks = [0.3, 0.9, 0.1, 0.7, 0.2, 0.5], [0, 1, 0, 0, 0, 1.0]
    return Example(jnp.array([values, marks]).T, jnp.array([1.4]))


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


def test_variable_copy():
    task = VariableCopy(5)
    lags = set()
    for inputs, target in unpadded(task, batch_of(task)):
        lag = len(inputs) - 20
        lags.add(lag)
        assert inputs[10:].tolist() == [0] * (lag - 1) + [9] + [0] * 10
        assert target.tolist() == [-1] * (10 + lag) + (inputs[:10] - 1).tolist()
        assert np.isin(inputs[:10], range(1, 9)).all()
    assert lags == set(range(1, 6))


@pytest.mark.parametrize(("length", "items", "symbols"), [(8, 8, 8), (30, 3, 5)])
def test_selective_copy(length, items, symbols):
    task = SelectiveCopy(length, items, symbols)
    places = set()
    for inputs, target in unpadded(task, batch_of(task)):
        (where,) = np.nonzero(inputs[:length])
        assert len(where) == items
        assert (inputs[length:] == symbols + 1).all()
        assert (target[:length] == -1).all()
        np.testing.assert_array_equal(target[length:], inputs[where] - 1)
        places |= {*where}
    assert places == set(range(length))
    assert set(np.unique(batch_of(task).targets)) == set(range(-1, symbols))


def test_copy_first():
    batch = batch_of(CopyFirst(7), 2000)
    np.testing.assert_array_equal(batch.targets, batch.inputs[:, 0])
    np.testing.assert_allclose(batch.inputs.mean(), 0, atol=0.03)
    np.testing.assert_allclose(batch.inputs.std(axis=0), 1, atol=0.06)


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


def test_the_last_token_of_a_flip_flop_asks_whatever_is_ignored():
    batch = batch_of(FlipFlop(9, 1 - 1e-8), 50)
    assert (np.asarray(batch.inputs)[:, -1] == 4).all()
    assert np.isin(np.asarray(batch.targets)[:, -1], (0, 1)).all()


@pytest.mark.parametrize(("length", "relevant"), [(10, 2), (10, 3), (100, 2), (100, 3)])
def test_temporal_order(length, relevant):
    task = TemporalOrder(length, relevant)
    allowed = [(10, 20), (50, 60)] if relevant == 2 else [(10, 20), (33, 43), (66, 76)]
    places, lengths = set(), set()
    for inputs, target in unpadded(task, batch_of(task, 2000)):
        lengths.add(len(inputs))
        assert inputs[0] == 6
        assert inputs[-1] == 7
        (where,) = np.nonzero(np.isin(inputs, (4, 5)))
        assert [
            low * length // 100 <= at <= high * length // 100
            for at, (low, high) in zip(where, allowed, strict=True)
        ] == [True] * relevant
        assert target == int("".join(str(symbol - 4) for symbol in inputs[where]), 2)
        assert np.isin(np.delete(inputs, [0, len(inputs) - 1, *where]), range(4)).all()
        places |= {*where}
    assert lengths == set(range(length, length + length // 10 + 1))
    assert places == {
        p for low, high in allowed for p in range(low * length // 100, high * length // 100 + 1)
    }


@pytest.mark.parametrize("modulus", [2, 5])
def test_cumulative_sum(modulus):
    task = CumulativeSum(20, modulus)
    for inputs, target in unpadded(task, batch_of(task)):
        total = 0
        for token, expected in zip(inputs, target, strict=True):
            total = (total + token) % modulus
            assert expected == total
    assert set(np.unique(batch_of(task).inputs)) == set(range(modulus))


@pytest.mark.parametrize("depth", [1, 3])
def test_bracket_counting(depth):
    task = BracketCounting(40, depth)
    opens = []
    for inputs, target in unpadded(task, batch_of(task)):
        count = 0
        for token, expected in zip(inputs, target, strict=True):
            if 0 < count < depth:
                opens.append(token == 0)
            else:
                assert token == (0 if count == 0 else 1)
            count += 1 if token == 0 else -1
            assert expected == count
    if depth > 1:
        np.testing.assert_allclose(np.mean(opens), 0.5, atol=0.02)


def test_mean_comparison():
    task = MeanComparison(9)
    for inputs, target in unpadded(task, batch_of(task)):
        assert target == (inputs[:, 1].mean() > inputs[:, 0].mean())


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_savings(rate):
    task = Savings(9, rate)
    ordered, shuffled = [], []
    for inputs, target in unpadded(task, batch_of(task, 4000)):
        saved = whole = 0.0
        for deposit in inputs[:, 0]:
            saved, whole = saved * (1 + rate) + deposit, whole * (1 + rate) + 1
        np.testing.assert_allclose(target, saved / whole, rtol=1e-5)
        ordered.append(target[0])
        shuffled.append(inputs.mean())
    unordered = np.mean(np.square(np.subtract(ordered, shuffled)))
    np.testing.assert_allclose(unordered, task.unordered_loss, rtol=0.1, atol=1e-9)


@pytest.mark.parametrize("where", ["end", "start"])
def test_verdict(where):
    task = Verdict(60, where)
    shares, moods, verdicts = [], [], []
    spans = {"plot": 56, "turn": 1, "verdict": 3}
    for inputs, target in unpadded(task, batch_of(task, 2000)):
        parts = {name: inputs[slice(*span)] for name, span in task.spans.items()}
        assert {name: len(part) for name, part in parts.items()} == spans
        assert set(parts["turn"]) == {3}
        assert set(parts["verdict"]) == {1 + target}
        inputs = inputs if where == "end" else inputs[::-1]
        plot, turn, said = inputs[:56], inputs[56], inputs[57:]
        assert turn == 3
        assert (said == 1 + target).all()
        assert np.isin(plot, (0, 1, 2)).all()
        told = plot[plot > 0] - 1
        shares.append(len(told) / 56)
        moods.append(told.mean())
        verdicts.append(target)
    np.testing.assert_allclose(np.mean(shares), 0.5, atol=0.01)
    moods = np.array(moods)
    np.testing.assert_allclose(
        [moods[moods > 0.5].mean(), moods[moods < 0.5].mean()], [0.8, 0.2], atol=0.01
    )
    assert abs(np.corrcoef(moods, verdicts)[0, 1]) < 0.06, "the plot tells the verdict"


@pytest.mark.parametrize("group", ["S3", "A4", "Z60", "A4xZ5", "S5"])
def test_word_problem(group):
    task, products = WordProblem(6, group), product_table(group)
    for inputs, target in unpadded(task, batch_of(task, 100)):
        assert target.tolist() == [*itertools.accumulate(inputs, lambda a, b: products[a, b])]
    assert set(np.unique(batch_of(task, 2000).inputs)) == set(range(task.input_size))


@pytest.mark.parametrize(
    ("group", "orders"),
    [
        ("S3", {1: 1, 2: 3, 3: 2}),
        ("S5", {1: 1, 2: 25, 3: 20, 4: 30, 5: 24, 6: 20}),
        ("A5", {1: 1, 2: 15, 3: 20, 5: 24}),
        ("A4xZ5", {1: 1, 2: 3, 3: 8, 5: 4, 10: 12, 15: 32}),
        ("Z60", {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 2, 10: 4, 12: 4, 15: 8, 20: 8, 30: 8, 60: 16}),
    ],
)
def test_groups_have_elements_of_these_orders(group, orders):
    products, size = product_table(group), sum(orders.values())
    assert products.shape == (size, size)
    np.testing.assert_array_equal(products[0], range(size))
    np.testing.assert_array_equal(products[products][:, :, 3], products[:, products[:, 3]])
    assert Counter(order(products, element) for element in range(size)) == orders


def order(products, element):
    """How often an element is multiplied with itself until the product is 1."""
    powers = itertools.accumulate(itertools.repeat(element), lambda a, b: products[a, b])
    return next(count for count, power in enumerate(powers, 1) if power == 0)


def test_the_word_of_the_docstring():
    products = product_table("S3")
    assert [products[1, 2], products[products[1, 2], 2]] == [3, 1]
