"""Whose mean is larger: a sequence that can be summed up in any order."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example


@dataclasses.dataclass(frozen=True)
class MeanComparison(Classification):
    """Two people's push-ups, day by day: did the second do more? Said after the last day.

    Inputs (time, 2), all ~ U[0, 1):

        first   0.9 0.1 0.4
        second  0.2 0.8 0.7        target 1, since 1.7 > 1.4

    Baseline: either is as likely, hence ln 2.
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
