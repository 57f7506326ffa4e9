"""The bits of a population: seeds that stop, burst or are equal do not change the others."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gru_jax import (
    training,
)
from tests.populations import experiment_of, member, mesh_of, population, same

pytestmark = pytest.mark.usefixtures("least_effort")


def test_equal_runs_have_equal_bits_and_equal_seeds_equal_members():
    experiment = experiment_of()
    first, _ = population(experiment, seeds=(3, 3), chunks=2)
    second, _ = population(experiment, seeds=(3, 3), chunks=2)
    same(first, second)
    same(member(first.params, 0), member(first.params, 1))


@pytest.mark.quick
def test_a_solved_seed_is_frozen_and_its_neighbours_go_on():
    experiment = experiment_of(target=0.5)
    state, _ = population(experiment)
    metrics = {"loss": jnp.array([0.4, 0.6, 0.5, jnp.nan]), "correct": jnp.zeros(4)}
    before = jax.tree.map(np.asarray, state)
    for _ in range(2):
        state = training.judge(experiment, state, metrics)
    assert np.asarray(state.active).tolist() == [False, True, True, True]
    assert np.asarray(state.solved_step).tolist() == [3, -1, -1, -1]
    state, measured = training.train_chunk(experiment, mesh_of(1, 1), state)
    same(member(state.params, 0), member(before.params, 0))
    assert np.asarray(state.step).tolist() == [3, 6, 6, 6]
    assert np.isnan(measured["loss"][0])
    unfrozen, _ = population(experiment, chunks=2)
    same(member(state.params, 1), member(unfrozen.params, 1))


@pytest.mark.quick
@pytest.mark.parametrize("fault", [jnp.nan, jnp.inf])
def test_a_seed_that_is_not_finite_is_frozen_and_its_neighbours_do_not_notice(fault):
    experiment = experiment_of()
    mesh = mesh_of(1, 1)

    def run(poison):
        state, _ = population(experiment)
        if poison:
            broken = jax.tree.map(lambda a: a.at[2].set(fault), state.params)
            state = dataclasses.replace(state, params=broken)
        return training.train_chunk(experiment, mesh, state)

    (clean, clean_metrics), (faulty, faulty_metrics) = run(poison=False), run(poison=True)
    assert np.asarray(faulty.active).tolist() == [True, True, False, True]
    assert np.asarray(faulty.diverged_step).tolist() == [-1, -1, 3, -1]
    assert np.asarray(faulty.step).tolist() == [6, 6, 3, 6]
    before, _ = population(experiment)
    norms = np.asarray(faulty.gradient_norm)
    assert norms[2] == np.asarray(before.gradient_norm)[2], "of the last step before the fault"
    assert norms[1] != np.asarray(before.gradient_norm)[1]
    same(member(faulty.opt_state, 2), member(before.opt_state, 2))
    for index in (0, 1, 3):
        same(member(faulty, index), member(clean, index))
        same(member(faulty_metrics, index), member(clean_metrics, index))
