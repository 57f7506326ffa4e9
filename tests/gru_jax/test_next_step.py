"""The next step of collected sequences, and a state that goes on from window to window."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from gru_jax import Experiment, FieldError, GRUCell, LSTMCell, SequenceModel, training
from gru_jax.tasks.base import Example, evaluation_batch, training_batch
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from gru_jax.tasks.next_step import Characters, PianoRolls
from tests.populations import experiment_of, member, mesh_of, population, same

pytestmark = pytest.mark.usefixtures("least_effort")

LENGTHS = (7, 1, 12, 5, 9)


def rows(lengths, seed=0, kinds=4):
    """Sequences of random tokens, whose padding is no token."""
    drawn = np.random.default_rng(seed).integers(0, kinds, (len(lengths), max(lengths) + 1))
    held = drawn.astype(np.uint8)
    inside = np.arange(max(lengths)) < np.array(lengths)[:, None]
    cut = lambda values: np.where(inside, values, 99).astype(np.uint8)
    return Example(cut(held[:, :-1]), cut(held[:, 1:]), np.array(lengths, np.int32))


def characters(window=4, lengths=LENGTHS):
    splits = {TRAIN: rows(lengths), VALIDATION: rows((12, 8), 1), TEST: rows((12, 12, 3), 2)}
    return Characters(12, splits, window=window, alphabet=b"abcd")


def check_windows(task, seed, step, size):
    """The windows of an update, by plain steps: each reader walks the circle of sequences."""
    taken = functools.partial(training_batch, task, seed, step, follow=True)
    order = _order(task, seed)
    train = task.splits[TRAIN]
    circle = [(piece, place) for piece in order for place in range(train.lengths[piece])]
    batch = taken(jnp.arange(size))
    for reader in range(size):
        begin = len(circle) // size * reader + step * task.window
        places = [circle[(begin + i) % len(circle)] for i in range(task.window)]
        at = tuple(zip(*places, strict=True))
        np.testing.assert_array_equal(batch.inputs[reader], train.inputs[at])
        np.testing.assert_array_equal(batch.targets[reader], train.targets[at])
        new = [place == 0 or step == i == 0 for i, (_, place) in enumerate(places)]
        np.testing.assert_array_equal(batch.resets[reader], new)
    part = taken(jnp.arange(1, size), size=size)
    same(part, jax.tree.map(lambda each: each[1:], batch))


def _order(task, seed):
    """In which order a seed reads the sequences: a single reader passes them one by one."""
    one = dataclasses.replace(task, window=sum(task.splits[TRAIN].lengths))
    batch = training_batch(one, seed, 0, jnp.arange(1), follow=True)
    whole = task.splits[TRAIN]
    found, inputs = [], np.asarray(batch.inputs[0])
    while len(inputs):
        told = [
            piece
            for piece, length in enumerate(whole.lengths)
            if piece not in found and (whole.inputs[piece, :length] == inputs[:length]).all()
        ]
        found.append(max(told, key=lambda piece: whole.lengths[piece]))
        inputs = inputs[whole.lengths[found[-1]] :]
    return found


@pytest.mark.quick
@pytest.mark.parametrize(("size", "window"), [(1, 4), (3, 4), (3, 40), (5, 1)])
def test_readers_walk_a_circle_of_all_sequences(size, window):
    task = characters(window)
    for step in (0, 1, 2, 9):
        check_windows(task, 3, step, size)
    orders = {tuple(_order(task, seed)) for seed in range(6)}
    assert len(orders) > 1
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in orders)


def test_windows_that_do_not_follow_lie_in_one_sequence():
    task = characters(4)
    batch = training_batch(task, 0, 0, jnp.arange(100))
    assert batch.resets is None
    assert set(np.asarray(batch.lengths)) == {1, 4}
    train = task.splits[TRAIN]
    for inputs, targets, length in zip(batch.inputs, batch.targets, batch.lengths, strict=True):
        assert any(
            (train.inputs[piece, start : start + length] == inputs[:length]).all()
            and (train.targets[piece, start : start + length] == targets[:length]).all()
            for piece, whole in enumerate(train.lengths)
            for start in range(whole - int(length) + 1)
        )


@pytest.mark.quick
def test_bits_are_means_over_the_bytes_inside():
    task = characters()
    batch = evaluation_batch(task, jnp.arange(2))
    outputs = jax.random.normal(jax.random.key(0), (2, 12, 4))
    found = task.metrics(outputs, batch)
    weights = task.weights(batch)
    assert weights.tolist() == [12, 8]
    p = np.exp(np.asarray(outputs, float))
    p /= p.sum(axis=-1, keepdims=True)
    held = task.splits[VALIDATION]
    each = [(i, t) for i, length in enumerate(held.lengths) for t in range(length)]
    bits = [-np.log2(p[i, t, held.targets[i, t]]) for i, t in each]
    right = [p[i, t].argmax() == held.targets[i, t] for i, t in each]
    for value, expected in ((found["loss"], bits), (found["accuracy"], right)):
        mean = (weights * value).sum() / weights.sum()
        np.testing.assert_allclose(mean, np.mean(expected), rtol=1e-5)
    np.testing.assert_allclose(task.loss(outputs, batch), found["loss"])

    train = task.splits[TRAIN]
    known = [train.targets[i, t] for i, length in enumerate(LENGTHS) for t in range(length)]
    share = (np.bincount(known, minlength=4) + 1) / (len(known) + 4)
    expected = -np.log2([share[held.targets[i, t]] for i, t in each]).mean()
    np.testing.assert_allclose(task.baseline_loss, expected)


def build(rngs, cell=GRUCell, bidirectional=False, **options):
    sizes = {"hidden_sizes": (6, 5), "readout": "every", "encoder": "embedding"}
    return SequenceModel(
        functools.partial(cell, **options),
        4,
        4,
        embedding_size=3,
        bidirectional=bidirectional,
        rngs=rngs,
        **sizes,
    )


def experiment(task=None, model=build, **options):
    made = {"batch_size": 4, "chunk": 3, "evaluation_examples": 2, "carry_state": True}
    return Experiment(task or characters(), model, **{**made, **options})


def carried(experiment, seed, steps, rate=0.01, clip=1.0):
    """Parameters and carry after so many updates, one by one, without `training`."""
    state = training.init(experiment, mesh_of(1, 1), (seed,), (rate,), (clip,))
    params = member(state.params, 0)
    carry = experiment.model(params).initialize_carry((4,))
    transform = experiment.optimizer.transform(rate, clip)
    moments = transform.init(params)
    for step in range(steps):
        batch = training_batch(experiment.task, seed, step, jnp.arange(4), follow=True)

        def loss(params, batch=batch, carry=carry):
            model = experiment.model(params)
            new, outputs = model(
                batch.inputs, initial_carry=carry, resets=batch.resets, return_carry=True
            )
            return experiment.task.loss(outputs, batch).mean(), new

        gradients, carry = jax.grad(loss, has_aux=True)(params)
        updates, moments = transform.update(gradients, moments, params)
        params = optax.apply_updates(params, updates)
    return params, carry


@pytest.mark.parametrize("cell", [GRUCell, LSTMCell])
def test_training_carries_the_state_as_a_plain_loop_does(cell):
    told = experiment(model=functools.partial(build, cell=cell))
    state, _ = population(told, seeds=(2, 5), chunks=2)
    for index, seed in enumerate((2, 5)):
        params, carry = carried(told, seed, 6)
        same(member(state.params, index), params, exact=False)
        same(member(state.carry, index), carry, exact=False)
    alone, _ = population(dataclasses.replace(told, carry_state=False), seeds=(2, 5), chunks=2)
    assert alone.carry is None


def test_devices_that_share_a_batch_share_its_states():
    told = experiment()
    state, metrics = population(told, seeds=(0, 1), chunks=2)
    shared, others = population(told, seeds=(0, 1), chunks=2, mesh=mesh_of(2, 2))
    same((state, metrics), (shared, others), exact=False)
    assert not np.allclose(member(state.carry, 0)[0], 0)


def test_a_seed_that_is_not_finite_keeps_its_state():
    told = experiment()
    state, _ = population(told, seeds=(0, 1))
    before = jax.tree.map(np.asarray, state)
    broken = jax.tree.map(lambda a: a.at[0].set(jnp.nan), state.params)
    state = dataclasses.replace(state, params=broken)
    data = training.placed_data(told, mesh_of(1, 1), (0, 1))
    state, _ = training.train_chunk(told, mesh_of(1, 1), state, data)
    same(member(state.carry, 0), member(before.carry, 0))
    assert not np.array_equal(member(state.carry, 1)[0], member(before.carry, 1)[0])


def test_a_learned_initial_state_is_where_readers_begin():
    told = experiment(model=functools.partial(build, learn_initial_state=True))
    first = training.init(told, mesh_of(1, 1), (0,), (0.01,), (1.0,))
    begun = jax.tree.map(np.asarray, nnx.to_pure_dict(first.params))
    state, _ = population(dataclasses.replace(told, chunk=1), seeds=(0,))
    learned = nnx.to_pure_dict(state.params)
    moved = [
        not np.array_equal(new, old)
        for (path, new), old in zip(
            jax.tree.leaves_with_path(learned), jax.tree.leaves(begun), strict=True
        )
        if "initial" in jax.tree_util.keystr(path)
    ]
    assert moved == [True, True]


@pytest.mark.quick
def test_what_cannot_be_carried_is_refused():
    with pytest.raises(FieldError, match=r"carry_state = True: must be false: this task has no"):
        experiment_of(carry_state=True)
    with pytest.raises(FieldError, match=r"carry_state = True: must be false: this task has no"):
        experiment(task=characters(window=0))
    both = experiment(model=functools.partial(build, bidirectional=True))
    with pytest.raises(FieldError, match=r"carry_state = True: must be false: a bidirectional"):
        population(both)
    with pytest.raises(FieldError, match="window = -1"):
        PianoRolls(3, {}, window=-1)
    with pytest.raises(FieldError, match="carry_state = 1"):
        experiment(carry_state=1)
