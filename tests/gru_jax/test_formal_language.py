"""Strings and their answers in plain Python, the lengths of each split, and input-blind losses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax.streams import TEST, VALIDATION, code
from gru_jax.tasks import FormalLanguage
from gru_jax.tasks.base import evaluation_batch, training_batch
from gru_jax.tasks.languages import LANGUAGES

pytestmark = [pytest.mark.quick, pytest.mark.usefixtures("least_effort")]

OPERATORS = {5: "+", 6: "-", 7: "*"}


def doubled(string):
    """The bit that stands in the hole of a string that is written twice."""
    if len(string) == 1:
        assert string == [1]
        return [1]
    assert [*string].count(2) == 1
    assert string[len(string) // 2 * 2 :] == [3] * (len(string) % 2)
    half, hole = len(string) // 2, string.index(2)
    first, second = string[:half], string[half : 2 * half]
    bit = (first + second)[(hole + half) % (2 * half)]
    assert [bit if symbol == 2 else symbol for symbol in first] == [
        bit if symbol == 2 else symbol for symbol in second
    ]
    return [bit]


ANSWERS = {
    "even_pairs": lambda s: [sum(a != b for a, b in itertools.pairwise(s)) % 2],
    "parity": lambda s: [s.count(1) % 2],
    "cycle_navigation": lambda s: [sum(symbol - 1 for symbol in s) % 5],
    "modular_arithmetic": lambda s: [eval("".join(OPERATORS.get(x, str(x)) for x in s)) % 5],
    "bucket_sort": sorted,
    "missing_duplicate": doubled,
    "reverse": lambda s: s[::-1],
    "odds_first": lambda s: s[1::2] + s[::2],
}
EVERY_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)


def strings(task, batch):
    """Each string with its answers, after the check that nothing else is in an example."""
    empty, every = task.input_size - 1, task.readout == "every"
    of_each = map(np.asarray, (batch.inputs, batch.targets, batch.lengths))
    for inputs, targets, end in zip(*of_each, strict=True):
        n = end // 2 if every else end - 1
        assert (inputs[n:] == empty).all()
        assert (inputs[:n] < empty).all()
        if every:
            assert (np.delete(targets, range(n, 2 * n)) == -1).all()
        yield inputs[:n].tolist(), targets[n : 2 * n].tolist() if every else [int(targets)]


@EVERY_LANGUAGE
def test_every_string_has_the_answers_that_python_gives_it(language):
    task = FormalLanguage(9, language, longest=14)
    seen, odd = set(), language == "modular_arithmetic"
    for split, lengths in ((VALIDATION, range(1, 10)), (TEST, range(10 + odd, 15))):
        batch = evaluation_batch(task.judged_on(split), jnp.arange(400))
        found = list(strings(task, batch))
        assert all(ANSWERS[language](string) == answers for string, answers in found)
        assert {len(string) for string, _ in found} == {n - (odd and n % 2 == 0) for n in lengths}
        seen |= {symbol for string, _ in found for symbol in string}
        seen |= {("answer", each) for _, answers in found for each in answers}
    assert seen == {*range(task.input_size - 1), *(("answer", n) for n in range(task.output_size))}


def test_expressions_are_tested_beyond_those_of_training_if_there_are_any():
    bounds = lambda *lengths: FormalLanguage(
        lengths[0], "modular_arithmetic", longest=lengths[1]
    )._bounds(TEST)
    assert [bounds(9, 14), bounds(9, 11), bounds(40, 60)] == [(11, 14), (11, 11), (41, 60)]
    assert [bounds(9, 10), bounds(9, 9)] == [(1, 9), (1, 9)]  # none


def test_a_step_of_training_has_one_length():
    task = FormalLanguage(6, "reverse", shortest=3)
    lengths = set()
    for step in range(60):
        batch = training_batch(task, 1, step, jnp.arange(4))
        assert batch.inputs.shape == (4, task.steps) == (4, 12)
        assert len({*batch.lengths.tolist()}) == 1
        found = list(strings(task, batch))
        assert all(string[::-1] == answers for string, answers in found)
        lengths.add(len(found[0][0]))
    assert lengths == {3, 4, 5, 6}


def test_one_program_makes_both_splits():
    task = FormalLanguage(5, "parity", longest=8)
    made = lambda split: evaluation_batch(task, jnp.arange(50), split=jnp.uint32(code(split)))
    for split in (VALIDATION, TEST):
        expected = evaluation_batch(task.judged_on(split), jnp.arange(50))
        jax.tree.map(np.testing.assert_array_equal, made(split), expected)


def test_another_length_has_strings_of_that_length_alone():
    task = FormalLanguage(1, "bucket_sort").with_length(7).judged_on(TEST)
    assert set(evaluation_batch(task, jnp.arange(50)).lengths.tolist()) == {14}


@pytest.mark.parametrize(
    ("language", "letters"),
    [
        ("even_pairs", [range(2)] * 3),
        ("parity", [range(2)] * 3),
        ("cycle_navigation", [range(3)] * 4),
        ("modular_arithmetic", [range(5), range(5, 8), range(5), range(5, 8), range(5)]),
        ("bucket_sort", [range(5)] * 4),
        ("reverse", [range(2)] * 3),
        ("odds_first", [range(2)] * 3),
    ],
)
def test_the_blind_loss_is_the_entropy_of_all_answers(language, letters):
    answers = np.array([ANSWERS[language](list(string)) for string in itertools.product(*letters)])
    classes = np.arange(LANGUAGES[language].classes)[:, None, None]
    chances = np.maximum((answers == classes).mean(axis=1), 1e-30)
    expected = -np.sum(chances * np.log(chances), axis=0).mean()
    task = FormalLanguage(1, language).with_length(len(letters))
    np.testing.assert_allclose(task.baseline_loss, expected, rtol=1e-6)


def test_the_blind_loss_is_that_of_the_strings_that_are_judged():
    task = FormalLanguage(2, "bucket_sort", longest=4)
    one = [task.with_length(n).baseline_loss for n in (1, 2, 3, 4)]
    np.testing.assert_allclose(task.baseline_loss, np.mean(one[:2]))
    np.testing.assert_allclose(task.judged_on(TEST).baseline_loss, np.mean(one[2:]))
    assert FormalLanguage(1, "even_pairs").baseline_loss == 0
    assert FormalLanguage(2, "missing_duplicate").baseline_loss == np.log(2) / 2
