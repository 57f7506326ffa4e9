"""Savings that earn compound interest: a sequence whose order counts."""

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
    """What a deposit a year comes to with interest; said after the last year.

        s_t = (1 + rate) s_{t-1} + x_t,   x_t ~ U[0, 1)

    The target is s_T over what deposits of 1 come to, a weighted mean of the deposits:

        deposits 0.5 0.2 0.9, rate 0.1      target (1.21 * 0.5 + 1.1 * 0.2 + 0.9) / 3.31 = 0.521

    Baseline: the variance of the target, sum_t w_t^2 / 12 with the weights w summing to 1.
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
        """What a deposit of each year counts for, (time,)."""
        growth = (1 + self.rate) ** -np.arange(self.length, dtype=float)
        return growth / growth.sum()

    @property
    def baseline_loss(self) -> float:
        return float(np.sum(self.shares**2) / 12)

    @property
    def unordered_loss(self) -> float:
        """The best expected loss of a predictor that knows the deposits but not their order.

        The mean of the deposits is its best guess, hence (sum_t w_t^2 - 1/T) / 12.
        """
        return self.baseline_loss - 1 / (12 * self.length)

    def example(self, key: Key) -> Example:
        inputs = jax.random.uniform(key, (self.length, 1))
        return Example(inputs, jnp.asarray(self.shares, inputs.dtype) @ inputs)
