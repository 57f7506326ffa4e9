"""Comparing two means: a task for which the order of the inputs does not matter."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example


@dataclasses.dataclass(frozen=True)
class MeanComparison(Classification):
    """Two people do push-ups every day. After the last day, has the second done more in total?

    Inputs (time, 2) of `length` days, all ~ U[0, 1):

        first   0.9 0.1 0.4
        second  0.2 0.8 0.7
        target  1                  since 1.7 > 1.4

    Baseline: both answers are equally likely; hence ln 2.
    """

    readout = "last"
    input_size = 2
    output_size = 2
    baseline_loss = math.log(2)

    length: int = 30

    def __post_init__(self):
        fields.integer("length", self.length, 1)

    def example(self, key: Key) -> Example:
        inputs = jax.random.uniform(key, (self.length, 2))
        first, second = inputs.sum(axis=0)
        return Example(inputs, (second > first).astype(jnp.int32))
