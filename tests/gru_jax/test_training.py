"""A population: its seeds do not see each other, and the mesh cannot be seen in the results."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from gru_jax import (
    Adding,
    CopyMemory,
    FieldError,
    GRUCell,
    Optimizer,
    training,
)
from gru_jax.devices import make_mesh, mesh_shape
from gru_jax.fields import ContractError
from gru_jax.population import takes_turns
from gru_jax.streams import INITIALISATION, stream
from gru_jax.tasks.base import Example, evaluation_batch, training_batch
from gru_jax.tasks.dataset import LabelledSequences
from tests.helpers import equations
from tests.populations import build, experiment_of, member, mesh_of, population, same

pytestmark = pytest.mark.usefixtures("least_effort")


@pytest.mark.quick
def test_a_chunk_is_plain_optax_steps():
    """One seed's chunk of padded examples, written out again with optax and `jax.grad` alone."""
    experiment = experiment_of(chunk=4, task=Adding(22, "hochreiter"))
    state, (metrics,) = population(experiment, seeds=(5,), rates=0.02, clips=0.1)
    graph, params = nnx.split(build(nnx.Rngs(stream(INITIALISATION, 5))))
    transform = optax.chain(optax.clip_by_global_norm(0.1), optax.adam(0.02))
    opt_state = transform.init(params)
    losses, norms = [], []
    mean_loss = lambda params, batch: jnp.mean(
        jnp.square(
            nnx.merge(graph, params)(batch.inputs, seq_lengths=batch.lengths) - batch.targets
        )
    )
    slopes = jax.jit(jax.value_and_grad(mean_loss))
    for step in range(4):
        batch = training_batch(experiment.task, 5, step, jnp.arange(8))
        loss, gradients = slopes(params, batch)
        losses.append(loss)
        norms.append(optax.tree.norm(gradients))
        updates, opt_state = transform.update(gradients, opt_state)
        params = optax.apply_updates(params, updates)
    same(member(state.params, 0), params, exact=False)
    np.testing.assert_allclose(metrics["loss"][0], np.mean(losses), rtol=1e-5)
    np.testing.assert_allclose(metrics["gradient_norm"][0], np.mean(norms), rtol=1e-5)
    assert np.mean(norms) > 0.1, "the norm is logged before the clip"


class Weighted(Adding):
    """Padded examples of which some weigh more."""

    def weights(self, batch):
        return 1.0 + batch.lengths % 3


def test_an_evaluation_is_a_weighted_mean_over_padded_examples():
    task = Weighted(22, "hochreiter")
    experiment, mesh = experiment_of(task=task), mesh_of(1, 2)
    state, _ = population(experiment, seeds=(0, 1), mesh=mesh)
    found = training.evaluate(experiment, mesh, state)
    batch = evaluation_batch(task, jnp.arange(16))
    for index in range(2):
        model = experiment.model(member(state.params, index))
        losses = task.loss(model(batch.inputs, seq_lengths=batch.lengths), batch)
        expected = np.average(losses, weights=task.weights(batch))
        np.testing.assert_allclose(found["loss"][index], expected, rtol=1e-5)


def test_an_example_that_asks_nothing_does_not_spoil_an_evaluation():
    """Its metrics are means over nothing."""

    class Empty(Weighted):
        def metrics(self, outputs, batch):
            found = super().metrics(outputs, batch)
            nothing = self.weights(batch) == 0
            return {name: jnp.where(nothing, jnp.nan, values) for name, values in found.items()}

        def weights(self, batch):
            return jnp.arange(len(batch.targets)).astype(jnp.float32)

    experiment = experiment_of(task=Empty(8))
    state, _ = population(experiment)
    found = training.evaluate(experiment, mesh_of(1, 1), state)
    assert all(np.isfinite(values).all() for values in found.values())


def data_set(validation=20):
    """Random sequences of five steps with one of two labels."""
    draw = np.random.default_rng(0)
    rows = lambda n: Example(
        draw.normal(size=(n, 5, 2)).astype(np.float32), draw.integers(0, 2, n).astype(np.int32)
    )
    splits = {"train": rows(30), "validation": rows(validation), "test": rows(7)}
    return LabelledSequences(5, splits, kinds=2)


def test_a_data_set_is_evaluated_whole_and_once():
    task = data_set()
    for size in (7, 40, 512):
        with pytest.raises(FieldError, match=f"evaluation_examples = {size}: must be 20, all of"):
            experiment_of(task=task, evaluation_examples=size)
    experiment = experiment_of(task=task, evaluation_examples=20)
    assert experiment.judged_on("test").evaluation_examples == 7
    state, _ = population(experiment)
    with pytest.raises(FieldError, match="sets = 2"):
        training.evaluate(experiment, mesh_of(1, 1), state, sets=2)
    data = training.placed_data(experiment, mesh_of(1, 1), (0, 1, 2, 3))
    found = training.evaluate(experiment, mesh_of(1, 1), state, data)
    model = experiment.model(member(state.params, 0))
    right = jnp.argmax(model(task.held_out.inputs), axis=-1) == task.held_out.targets
    np.testing.assert_allclose(found["accuracy"][0], right.mean(), rtol=1e-6)


class Constant(GRUCell):
    """With an array that is not to be trained."""

    def __init__(self, *sizes, rngs, **options):
        super().__init__(*sizes, rngs=rngs, **options)
        self.scale = nnx.Variable(jnp.ones(3))


class Drops(GRUCell):
    def __init__(self, *sizes, rngs, **options):
        super().__init__(*sizes, rngs=rngs, **options)
        self.drop = nnx.Dropout(0.5, rngs=rngs)


@pytest.mark.parametrize(("make", "name"), [(Constant, "scale"), (Drops, "drop.rngs")])
def test_what_is_no_parameter_is_not_trained(make, name):
    told = functools.partial(build, task=Adding(8), make=make)
    experiment = dataclasses.replace(experiment_of(), build=told)
    with pytest.raises(ContractError, match=rf"{name}.* must be an nnx.Param"):
        training.init(experiment, mesh_of(1, 1), (0,), (0.01,), (1.0,))


@pytest.mark.parametrize("split", ["tset", "train", ""])
def test_an_evaluation_of_no_split_is_refused(split):
    experiment = experiment_of()
    state = training.init(experiment, mesh_of(1, 1), (0,), (0.01,), (1.0,))
    with pytest.raises(FieldError, match=f"^split = '{split}': must be one of validation, test"):
        training.evaluate(experiment, mesh_of(1, 1), state, split=split)


def test_every_array_has_a_leading_seed_axis_also_for_one_seed():
    for seeds in ((0,), (0, 1, 2)):
        state, _ = population(experiment_of(), seeds=seeds)
        assert all(leaf.shape[:1] == (len(seeds),) for leaf in jax.tree.leaves(state))


@functools.cache
def on(*mesh):
    """A population after some steps on so many devices, what it logged, and how it evaluates."""
    experiment, devices = experiment_of(chunk=10), mesh_of(*mesh)
    state, (metrics,) = population(experiment, mesh=devices)
    return state.params, metrics, training.evaluate(experiment, devices, state)


@pytest.mark.parametrize("mesh", [(2, 1), (1, 2), (2, 2), (1, 4), (4, 1)])
def test_the_mesh_does_not_change_the_results(mesh):
    same(on(*mesh), on(1, 1), exact=False)


def test_a_seed_does_not_depend_on_its_neighbours():
    experiment = experiment_of()
    together, history = population(experiment, seeds=(0, 7), chunks=2)
    alone, alone_history = population(experiment, seeds=(7,), chunks=2)
    same(member(together.params, 1), member(alone.params, 0), exact=False)
    same(member(history[1], 1), member(alone_history[1], 0), exact=False)
    first, second = member(together.params, 0), member(together.params, 1)
    assert any(
        (a != b).any() for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    )


@pytest.mark.parametrize("mesh", [(1, 1), (2, 1), (2, 2)])
def test_seeds_that_take_turns_become_what_they_become_at_once(monkeypatch, mesh):
    assert takes_turns(mesh_of(*mesh))  # on a CPU
    found = {}
    for turns in (True, False):
        monkeypatch.setattr("gru_jax.population.takes_turns", lambda _, turns=turns: turns)
        experiment, devices = experiment_of(), mesh_of(*mesh)
        state = training.init(experiment, devices, (0, 1, 2, 3), (0.01,) * 4, (1.0,) * 4)
        state = dataclasses.replace(state, active=jnp.array([True, False, True, True]))
        start = member(state.params, 1)
        step = functools.partial(training.train_chunk, experiment, devices)
        program = jax.make_jaxpr(step)(state)
        assert bool(list(equations(program.jaxpr, ["cond"]))) == turns  # skips who is frozen
        state, metrics = step(state)
        same(member(state.params, 1), start)
        assert np.isnan(metrics["loss"][1])
        found[turns] = state, metrics
    same(found[True], found[False], exact=False)


def test_learning_rate_and_clip_differ_by_seed():
    experiment = experiment_of(optimizer=Optimizer("sgd", beta1=0.0), chunk=1)
    state, _ = population(
        experiment, seeds=(3, 3, 3), rates=(0.1, 0.2, 0.1), clips=(9.0, 9.0, 1e-3)
    )
    start = training.init(experiment, mesh_of(1, 1), (3,), (1.0,), (1.0,))
    moved = [
        float(
            optax.tree.norm(
                jax.tree.map(jnp.subtract, member(state.params, i), member(start.params, 0))
            )
        )
        for i in range(3)
    ]
    np.testing.assert_allclose(moved[1], 2 * moved[0], rtol=1e-4)
    np.testing.assert_allclose(moved[2], 0.1 * 1e-3, rtol=1e-3)


def test_parameters_of_less_precision_learn():
    low = functools.partial(GRUCell, param_dtype=jnp.bfloat16)
    task = Adding(8)
    told = functools.partial(build, task=task, make=low)
    experiment = dataclasses.replace(experiment_of(task=task), build=told)
    start, state = (population(experiment, chunks=chunks)[0] for chunks in (0, 2))
    assert jnp.dtype(jnp.bfloat16) in {a.dtype for a in jax.tree.leaves(state.params)}
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), start.params, state.params)
    assert np.min(jax.tree.leaves(moved)) > 0
    assert state.active.all()


def test_targets_of_metrics_other_than_the_loss_are_reached_from_below():
    experiment = experiment_of(target=0.9, target_metric="correct")
    metrics = {"loss": jnp.zeros(2), "correct": jnp.array([0.95, 0.85])}
    assert experiment.reached(metrics).tolist() == [True, False]
    assert not experiment_of().reached(metrics).any()


def test_a_diverging_seed_keeps_its_last_finite_parameters():
    experiment = experiment_of(optimizer=Optimizer("sgd", beta1=0.0), chunk=50)
    state, _ = population(experiment, seeds=(0, 1), rates=(0.01, 1e12), clips=np.inf, chunks=2)
    assert np.asarray(state.active).tolist() == [True, False]
    assert 0 <= np.asarray(state.diverged_step)[1] < 100
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


def test_a_chunk_is_told_by_the_steps_that_a_diverging_seed_took():
    options = {"seeds": (0, 1), "rates": (0.01, 1e12), "clips": np.inf}
    sgd = Optimizer("sgd", beta1=0.0)
    state, (measured,) = population(experiment_of(optimizer=sgd, chunk=50), **options)
    taken = int(np.asarray(state.step)[1])
    assert 0 < taken < 50
    _, (expected,) = population(experiment_of(optimizer=sgd, chunk=taken), **options)
    np.testing.assert_allclose(measured["loss"][1], expected["loss"][1], rtol=1e-5)


def test_a_diverged_seed_is_not_solved_whatever_its_parameters_do():
    experiment = experiment_of(target=0.5)
    state, _ = population(experiment, seeds=(0, 1))
    state = dataclasses.replace(state, active=jnp.array([True, False]))
    metrics = {"loss": jnp.array([0.4, 0.4]), "correct": jnp.zeros(2)}
    for _ in range(2):
        state = training.judge(experiment, state, metrics)
    assert np.asarray(state.solved_step).tolist() == [3, -1]
    assert np.asarray(state.held_step).tolist() == [3, -1]


@functools.cache
def judging(**options):
    """One experiment for all losses, compiled once."""
    return experiment_of(target=0.5, **options)


def judged(experiment, *losses, keep=("solved_step", "held_step", "active")):
    """One seed after evaluations with these losses, one every `chunk` steps; no step is made."""
    state = training.init(experiment, mesh_of(1, 1), (0,), (0.01,), (1.0,))
    for number, loss in enumerate(losses, 1):
        state = dataclasses.replace(state, step=jnp.array([experiment.chunk * number], jnp.int32))
        metrics = {"loss": jnp.array([loss]), "correct": jnp.zeros(1)}
        state = training.judge(experiment, state, metrics)
    return {name: np.asarray(getattr(state, name)).tolist()[0] for name in keep}


@pytest.mark.quick
@pytest.mark.parametrize(
    ("losses", "solved", "held"),
    [
        ((0.6,), -1, -1),
        ((0.4,), 3, -1),  # not yet: it has to hold
        ((0.4, 0.6), -1, -1),
        ((0.4, 0.6, 0.4), 9, -1),
        ((0.6, 0.4, 0.3), 6, 6),
        ((0.4, 0.4, 0.6), 3, 3),  # once solved it is frozen
        ((0.4, np.nan, 0.4), 9, -1),
    ],
)
def test_a_seed_has_solved_its_task_at_the_first_of_two_evaluations_that_reach_it(
    losses, solved, held
):
    found = judged(judging(), *losses)
    assert found == {"solved_step": solved, "held_step": held, "active": held == -1}


@pytest.mark.quick
@pytest.mark.parametrize("keep", ["last", "best"])
@pytest.mark.parametrize(
    ("losses", "active", "best_step"),
    [
        ((0.9, 0.8, 0.7), True, 9),
        ((0.9, 0.8, 0.85), True, 6),
        ((0.9, 0.8, 0.8, 0.9), False, 6),  # as good is not better
        ((np.nan, np.nan), False, 0),
        ((0.2, 0.8, 0.2, 0.3), False, 3),  # solved, since it came back
        ((0.2, 0.8, 0.3), True, 3),  # it waits for the second evaluation that reaches the target
    ],
)
def test_a_seed_ends_after_so_many_evaluations_without_a_better_one(
    keep, losses, active, best_step
):
    experiment = judging(patience=2, keep=keep)
    expected = {"active": active, "best_step": best_step}
    assert judged(experiment, *losses, keep=("active", "best_step")) == expected


def test_what_has_diverged_after_one_evaluation_at_the_target_is_not_solved():
    experiment = experiment_of(target=0.5)
    state, _ = population(experiment, seeds=(0,))
    state = training.judge(experiment, state, {"loss": jnp.array([0.4]), "correct": jnp.zeros(1)})
    broken = jax.tree.map(lambda leaf: jnp.full_like(leaf, jnp.nan), state.params)
    state, _ = training.train_chunk(
        experiment, mesh_of(1, 1), dataclasses.replace(state, params=broken)
    )
    assert np.asarray(state.diverged_step).tolist() == [3]
    assert np.asarray(state.held_step).tolist() == [-1]


def test_adding_is_learned_far_below_what_a_blind_predictor_reaches():
    experiment = experiment_of(batch_size=32, chunk=40)
    _, history = population(experiment, seeds=(0, 1), rates=0.02, chunks=4)
    assert (history[-1]["loss"] < 0.1 * experiment.task.baseline_loss).all()


def test_copy_reaches_what_a_blind_predictor_reaches():
    experiment = experiment_of(task=CopyMemory(3), batch_size=32, chunk=40)
    _, history = population(experiment, seeds=(0, 1), rates=0.02, chunks=4)
    assert (history[-1]["loss"] < 1.01 * experiment.task.baseline_loss).all()


def test_parameters_are_counted_without_building_the_model():
    assert experiment_of().parameters == 3 * (2 * 6 + 36) + 24 + 7


@pytest.mark.quick
def test_mesh_shapes():
    assert [mesh_shape(n, 8, 64) for n in (1, 2, 6, 8, 16, 64)] == [
        (1, 1), (2, 1), (2, 1), (8, 1), (8, 2), (8, 8)
    ]  # fmt: skip
    assert mesh_shape(4, 1, 6) == (1, 2)
    assert dict(make_mesh(4, 8).shape) == {"seed": 4, "batch": 1}
    assert dict(make_mesh(3, 8).shape) == {"seed": 1, "batch": 4}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0"),
        ({"chunk": -1}, "chunk = -1"),
        ({"evaluation_examples": 0}, "evaluation_examples = 0"),
        ({"target_metric": "accuracy"}, "target_metric = 'accuracy': must be one of loss, correct"),
        ({"target": float("inf")}, "target = inf: must be a finite number"),
    ],
)
def test_bad_fields(options, message):
    with pytest.raises(FieldError, match=message):
        experiment_of(**options)


def test_unequal_numbers_of_seeds_and_rates():
    with pytest.raises(ValueError, match="one entry a seed"):
        training.init(experiment_of(), mesh_of(1, 1), (0, 1), (0.1,), (1.0, 1.0))
