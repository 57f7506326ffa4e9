"""Batches of examples of a task, and its single examples without padding."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax.tasks.base import evaluation_batch

SIZE = 20_000  # one size for all batches of a task, so that each task is compiled once


@functools.cache
def whole_batch(task):
    """In NumPy, of which a part is not a program of its own."""
    return jax.tree.map(np.asarray, evaluation_batch(task, jnp.arange(SIZE)))


def batch_of(task, size=400):
    return jax.tree.map(lambda leaf: leaf[:size], whole_batch(task))


def unpadded(task, batch):
    """Each example with its target, without what is padded."""
    lengths = [task.steps] * len(batch.targets) if batch.lengths is None else batch.lengths
    targets = np.asarray(batch.targets)
    for inputs, target, length in zip(np.asarray(batch.inputs), targets, lengths, strict=True):
        if task.readout == "every":
            assert (target[length:] == -1).all()
            target = target[:length]
        yield inputs[:length], target
