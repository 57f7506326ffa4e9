"""Small populations, for the tests of training."""

import functools

import jax
import numpy as np

from gru_jax import (
    Adding,
    Experiment,
    GRUCell,
    SequenceModel,
    training,
)


def build(rngs, make=GRUCell, task=None):
    task = task or Adding(8)
    encoder = "one_hot" if task.tokens else "none"
    return SequenceModel(
        make,
        task.input_size,
        task.output_size,
        hidden_sizes=(6,),
        readout=task.readout,
        encoder=encoder,
        rngs=rngs,
    )


def experiment_of(**options):
    task = options.pop("task", Adding(8))
    options = {"batch_size": 8, "chunk": 3, "evaluation_examples": 16, **options}
    return Experiment(task, functools.partial(build, task=task), **options)


def population(experiment, seeds=(0, 1, 2, 3), rates=0.01, clips=1.0, mesh=None, chunks=1):
    mesh = mesh or mesh_of(1, 1)
    each = lambda value: value if isinstance(value, tuple) else (value,) * len(seeds)
    state = training.init(experiment, mesh, seeds, each(rates), each(clips))
    data = training.placed_data(experiment, mesh, seeds)
    history = []
    for _ in range(chunks):
        state, metrics = training.train_chunk(experiment, mesh, state, data)
        history.append(jax.tree.map(np.asarray, metrics))
    return state, history


def mesh_of(seeds, batch):
    devices = jax.devices()[: seeds * batch]
    return jax.sharding.Mesh(np.array(devices).reshape(seeds, batch), ("seed", "batch"))


def member(tree, index):
    return jax.tree.map(lambda a: np.asarray(a)[index], tree)


def same(a, b, exact=True):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        if exact:
            np.testing.assert_array_equal(x, y)
        else:
            np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-5)
