"""Data sets of each seed's own: epochs, questions at some steps, and seeds that do not meet."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gru_jax import Experiment, training
from gru_jax.streams import TEST, TRAIN, VALIDATION
from gru_jax.tasks.base import UNASKED, Example, evaluation_batch, training_batch
from gru_jax.tasks.seeded import AskedClasses, AskedLabels, AskedValues
from tests.populations import build, member, mesh_of, same

pytestmark = pytest.mark.usefixtures("least_effort")
SIZES = {TRAIN: 12, VALIDATION: 6, TEST: 8}


def numbered(seed):
    """Examples whose inputs say their seed, their split and their number."""
    splits = {}
    for place, (split, size) in enumerate(SIZES.items()):
        inputs = np.full((size, 3, 2), 30 * seed + 10 * place, np.int8)
        inputs[:, 0, 1] = np.arange(size)
        splits[split] = Example(inputs, inputs[..., 1].astype(np.int32) % 3)
    return splits


def random(kind, seed):
    rng = np.random.default_rng(seed)
    splits = {}
    for split, size in SIZES.items():
        asked = rng.random((size, 3)) < 0.7
        asked[:, 0] = True
        if kind is AskedClasses:
            targets = np.where(asked, rng.integers(0, 4, asked.shape), UNASKED)
        elif kind is AskedLabels:
            targets = np.where(asked[..., None], rng.integers(0, 2, (*asked.shape, 4)), UNASKED)
        else:
            targets = np.where(asked[..., None], rng.normal(size=(*asked.shape, 4)), np.nan)
        real = kind is AskedValues
        targets = targets.astype(np.float32 if real else np.int32)
        splits[split] = Example(rng.normal(size=(size, 3, 2)).astype(np.float32), targets)
    return splits


def task_of(kind):
    return kind.of(functools.partial(random, kind), length=3, inputs=2, outputs=4, **SIZES)


KINDS = pytest.mark.parametrize("kind", [AskedClasses, AskedLabels, AskedValues])


@pytest.mark.quick
@pytest.mark.parametrize("size", [4, 12, 5, 18])
def test_an_epoch_has_each_example_once_in_a_new_order(size):
    task = AskedClasses.of(numbered, length=3, inputs=2, outputs=3, **SIZES)
    data = jax.tree.map(lambda rows: rows[1], task.data_of((2, 1)))
    steps = -(-3 * SIZES[TRAIN] // size)
    batch = jax.jit(lambda step: training_batch(task, 1, step, jnp.arange(size), data))
    found = np.concatenate([batch(step).inputs[:, 0] for step in range(steps)])
    assert {*found[:, 0].tolist()} == {30.0}, "examples of the other seed, or of another split"
    epochs = found[: 3 * SIZES[TRAIN], 1].reshape(3, -1)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), [np.arange(SIZES[TRAIN])] * 3)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.quick
def test_orders_differ_between_seeds_and_parts_of_a_batch_are_those_of_the_whole():
    task = AskedClasses.of(numbered, length=3, inputs=2, outputs=3, **SIZES)
    take = lambda seed, indices: training_batch(task, seed, 2, indices, size=8).inputs[:, 0, 1]
    whole = take(0, jnp.arange(8))
    np.testing.assert_array_equal(take(0, jnp.arange(4, 8)), whole[4:])
    assert (take(1, jnp.arange(8)) != whole).any()


@pytest.mark.quick
def test_evaluations_take_the_split_of_the_seed():
    task = AskedClasses.of(numbered, length=3, inputs=2, outputs=3, **SIZES)
    for place, split in ((1, VALIDATION), (2, TEST)):
        judged = task.judged_on(split)
        data = jax.tree.map(lambda rows: rows[0], judged.data_of((1,)))
        batch = evaluation_batch(judged, jnp.arange(judged.size), data)
        assert {*np.asarray(batch.inputs[:, 1]).ravel().tolist()} == {30.0 + 10 * place}
        assert batch.inputs.dtype == jnp.float32


@pytest.mark.quick
@KINDS
def test_loss_and_metrics_are_means_over_the_steps_that_ask(kind):
    task = task_of(kind)
    batch = task.held_out
    rng = np.random.default_rng(5)
    outputs = jnp.asarray(rng.normal(size=(SIZES[VALIDATION], 3, 4)), jnp.float32)
    metrics = task.metrics(outputs, batch)
    for i in range(SIZES[VALIDATION]):
        losses, right = [], []
        for out, target in zip(outputs[i], batch.targets[i], strict=True):
            if kind is AskedClasses and target != UNASKED:
                losses.append(-jax.nn.log_softmax(out)[target])
                right.append(out.argmax() == target)
            if kind is AskedLabels and target[0] != UNASKED:
                p = jax.nn.sigmoid(out)
                losses.append(-np.mean(np.log(np.where(target == 1, p, 1 - p))))
                right.append(np.mean((p >= 0.5) == (target == 1)))
            if kind is AskedValues and not np.isnan(target[0]):
                losses.append(np.mean((out - target) ** 2))
        assert task.weights(batch)[i] == len(losses)
        np.testing.assert_allclose(metrics["loss"][i], np.mean(losses), rtol=1e-5)
        if right:
            np.testing.assert_allclose(metrics["accuracy"][i], np.mean(right), rtol=1e-5)
    gradient = jax.grad(lambda outputs: task.loss(outputs, batch).sum())(outputs)
    assert np.isfinite(gradient).all()
    asked = np.asarray(task.asked(batch.targets))
    assert (np.asarray(gradient)[~asked] == 0).all()
    assert (~asked).any()


@KINDS
def test_the_baseline_is_what_a_blind_model_is_judged_by(kind):
    task = task_of(kind)
    seen, batch = task.splits[TRAIN], task.held_out
    asked = np.asarray(task.asked(seen.targets))
    outputs = np.zeros((3, 4))
    for step in range(3):
        there = seen.targets[:, step][asked[:, step]]
        if kind is AskedClasses:
            counts = 1 + np.bincount(there, minlength=4)
            outputs[step] = np.log(counts / counts.sum())
        elif kind is AskedLabels:
            share = (1 + there.sum(axis=0)) / (2 + len(there))
            outputs[step] = np.log(share / (1 - share))
        else:
            outputs[step] = there.mean(axis=0)
    outputs = jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), (len(batch.inputs), 3, 4))
    expected = np.average(task.loss(outputs, batch), weights=task.weights(batch))
    np.testing.assert_allclose(task.baseline_loss, expected, rtol=1e-5)


def test_the_baseline_of_sequences_that_are_longer_in_training():
    """A forecast has one sequence, of which the parts differ in length."""

    def parts(seed):
        splits = random(AskedValues, seed)
        seen = splits[TRAIN]
        return splits | {TRAIN: Example(seen.inputs[:, :2], seen.targets[:, :2])}

    task = AskedValues.of(parts, length=2, inputs=2, outputs=4, **SIZES)
    seen, batch = task.splits[TRAIN].targets, task.held_out
    outputs = jnp.broadcast_to(jnp.nanmean(seen, axis=(0, 1)), (len(batch.inputs), 3, 4))
    expected = np.average(task.loss(outputs, batch), weights=task.weights(batch))
    np.testing.assert_allclose(task.baseline_loss, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "sizes"), [(AskedClasses, (2, 2)), (AskedLabels, (1, 1)), (AskedValues, (1, 2))]
)
def test_every_seed_learns_from_its_own_data(kind, sizes):
    """A population, over one device or four, against optax for each seed by itself."""
    task = task_of(kind)
    experiment = Experiment(
        task, functools.partial(build, task=task), batch_size=4, chunk=5, evaluation_examples=6
    )
    mesh, seeds = mesh_of(*sizes), (3, 0)
    state = training.init(experiment, mesh, seeds, (0.02,) * 2, (np.inf,) * 2)
    starts = [member(state.params, place) for place in range(2)]
    data = training.placed_data(experiment, mesh, seeds)
    state, metrics = training.train_chunk(experiment, mesh, state, data)
    found = training.evaluate(experiment, mesh, state, data)
    for place, seed in enumerate(seeds):
        own = jax.tree.map(lambda rows: rows[0], task.data_of((seed,)))
        params, transform = starts[place], optax.adam(0.02)
        opt_state, losses = transform.init(params), []

        @jax.jit
        def loss_of(params, batch):
            return task.loss(experiment.model(params)(batch.inputs), batch).mean()

        for step in range(5):
            batch = training_batch(task, seed, step, jnp.arange(4), own)
            loss, gradients = jax.value_and_grad(loss_of)(params, batch)
            updates, opt_state = transform.update(gradients, opt_state)
            params = optax.apply_updates(params, updates)
            losses.append(loss)
        same(member(state.params, place), params, exact=False)
        np.testing.assert_allclose(metrics["loss"][place], np.mean(losses), rtol=1e-5)
        held = random(kind, seed)[VALIDATION]
        each = task.loss(experiment.model(params)(held.inputs), held)
        expected = np.average(each, weights=task.weights(held))
        np.testing.assert_allclose(found["loss"][place], expected, rtol=1e-4)


def test_data_lie_where_their_seeds_are():
    task = task_of(AskedClasses)
    experiment = Experiment(task, functools.partial(build, task=task), evaluation_examples=6)
    placed = training.placed_data(experiment, mesh_of(2, 1), (0, 1, 2, 3))
    assert {shard.data.shape[0] for shard in placed[TRAIN].inputs.addressable_shards} == {2}
    assert placed[TRAIN].inputs.shape[0] == 4
    assert dataclasses.is_dataclass(placed[VALIDATION])
