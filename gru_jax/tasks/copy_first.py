"""Copy the first input (Vecoven, Ernst & Drion 2021)."""

import dataclasses
from typing import ClassVar

import jax

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Example, Regression


@dataclasses.dataclass(frozen=True)
class CopyFirst(Regression):
    """Repeat the first of many normal numbers after the last one. Nothing marks the first.

    Inputs (time, 1), `length` of them, all ~ N(0, 1):

        input   0.3 -1.2 0.8 ... 0.1
        target  0.3

    Baseline: the variance of x ~ N(0, 1), hence 1.
    """

    input_size = 1
    tolerance: ClassVar[float] = 0.1
    baseline_loss = 1.0

    length: int = 100

    def __post_init__(self):
        fields.integer("length", self.length, 1)

    def example(self, key: Key) -> Example:
        inputs = jax.random.normal(key, (self.length, 1))
        return Example(inputs, inputs[0])
