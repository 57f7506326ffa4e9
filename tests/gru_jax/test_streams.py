"""No two random streams of a run meet: the keys themselves are compared."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import Adding, Experiment, FieldError, Regularizer, training
from gru_jax.devices import make_mesh
from gru_jax.regularizers import training_draws
from gru_jax.streams import INITIALISATION, REGULARIZERS, TEST, TRAIN, VALIDATION, stream
from gru_jax.tasks.base import Example, evaluation_batch, training_batch

pytestmark = pytest.mark.quick

SEEDS = (*range(16), 2**31 - 1)
STEPS = (*range(16), 1000)
INDICES = jnp.arange(64)


class Keys(Adding):
    """A task whose examples show the two numbers of the key that they were made of, as tokens."""

    tokens = True

    def example(self, key):
        return Example(jax.random.key_data(key), jnp.zeros(1))


class Drawn(nnx.Module):
    """A model whose parameters are the keys that they would have been drawn with."""

    def __init__(self, rngs):
        self.keys = nnx.Param(jnp.stack([jax.random.key_data(rngs.params()) for _ in INDICES]))


def rows(keys):
    return [tuple(row) for row in np.asarray(keys).reshape(-1, 2).tolist()]


def drawn():
    """The keys of every stream, as training, evaluation and `init` use them."""
    task, ones = Keys(2), (1.0,) * len(SEEDS)
    population = training.init(Experiment(task, Drawn), make_mesh(1, 1), SEEDS, ones, ones)
    steps = list(itertools.product(SEEDS, STEPS))
    batches = [training_batch(task, seed, step, INDICES).inputs for seed, step in steps]
    masks = [training_draws(Regularizer(dropout=0.1), *step, INDICES)["key"] for step in steps]
    evaluated = lambda split: evaluation_batch(task.judged_on(split), jnp.arange(4096)).inputs
    return {
        INITIALISATION: rows(population.params["keys"][...]),
        TRAIN: rows(jnp.stack(batches)),
        REGULARIZERS: rows(jnp.stack([jax.random.key_data(key) for key in masks])),
        VALIDATION: rows(evaluated(VALIDATION)),
        TEST: rows(evaluated(TEST)),
    }


def test_no_two_streams_meet_and_none_comes_back_to_a_key():
    found = drawn()
    sizes = {name: len(keys) for name, keys in found.items()}
    assert sizes == {
        INITIALISATION: len(SEEDS) * 64,
        TRAIN: len(SEEDS) * len(STEPS) * 64,
        REGULARIZERS: len(SEEDS) * len(STEPS),
        VALIDATION: 4096,
        TEST: 4096,
    }
    roots = jnp.stack([jax.random.key_data(stream(name)) for name in found])
    everything = [*itertools.chain.from_iterable(found.values()), *rows(roots)]
    assert len(set(everything)) == len(everything)


def test_no_stream_meets_what_people_draw_with_small_seeds():
    """As `nnx.Rngs(0)` of a model that somebody builds without `init`."""
    theirs = {row for seed in range(8) for row in rows(Drawn(nnx.Rngs(seed)).keys[...])}
    assert len(theirs) == 8 * len(INDICES)
    assert not theirs & set(itertools.chain.from_iterable(drawn().values()))


def test_a_stream_is_named_by_word_and_numbers_alone():
    data = lambda *place: jax.random.key_data(stream(*place)).tolist()
    assert data("dropout", 0, 1) == data("dropout", jnp.int32(0), jnp.uint32(1))
    assert data("dropout", 0, 1) != data("dropout", 1, 0)
    # Runs that are resumed, and sets that results were judged on, hang on these.
    assert data(INITIALISATION, 0) == [1229118823, 1404453177]
    assert data(VALIDATION) == [1095907088, 4119304588]


def test_there_is_no_other_split():
    assert Adding(2).judged_on(TEST) != Adding(2)
    assert Adding(2).judged_on(TEST).with_length(3).judged == TEST
    with pytest.raises(FieldError, match="split = 'train': must be one of validation, test"):
        Adding(2).judged_on(TRAIN)
