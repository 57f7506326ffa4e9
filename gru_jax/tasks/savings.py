"""Savings with compound interest: a task for which the order of the inputs matters."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Example, Regression


@dataclasses.dataclass(frozen=True)
class Savings(Regression):
    """The savings s_T after the last year, with one deposit x_t every year and interest.

        s_t = (1 + rate) s_{t-1} + x_t,   x_t ~ U[0, 1)

    Inputs (time, 1) of `length` years. The target is s_T divided by what deposits of 1 would give,
    that is, a weighted mean of the deposits. With `rate` 0.1:

        input   0.5 0.2 0.9
        target  (1.21 * 0.5 + 1.1 * 0.2 + 0.9) / 3.31 = 0.521

    Baseline: the variance of the target, sum_t w_t^2 / 12, where w are the weights, which sum to 1.
    """

    input_size = 1
    tolerance: ClassVar[float] = 0.01

    length: int = 30
    rate: float = 0.1

    def __post_init__(self):
        fields.integer("length", self.length, 1)
        fields.real("rate", self.rate, least=0)

    @property
    def shares(self) -> np.ndarray:
        """The weight of each year's deposit in the target, (time,)."""
        growth = (1 + self.rate) ** -np.arange(self.length, dtype=float)
        return growth / growth.sum()

    @property
    def baseline_loss(self) -> float:
        return float(np.sum(self.shares**2) / 12)

    @property
    def unordered_loss(self) -> float:
        """The least expected loss of a predictor that knows the deposits but not their order.

        It predicts the mean of the deposits; hence (sum_t w_t^2 - 1/T) / 12.
        """
        return self.baseline_loss - 1 / (12 * self.length)

    def example(self, key: Key) -> Example:
        inputs = jax.random.uniform(key, (self.length, 1))
        return Example(inputs, jnp.asarray(self.shares, inputs.dtype) @ inputs)
