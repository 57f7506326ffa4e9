"""The adding problem (Hochreiter & Schmidhuber 1997) in its three published protocols."""

import dataclasses

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Array, Key
from gru_jax.tasks.base import Example, Regression

PROTOCOLS = ("halves", "anywhere", "hochreiter")


@dataclasses.dataclass(frozen=True)
class Adding(Regression):
    """Add the two marked numbers of a long sequence; the answer is given after the last step.

    Inputs (time, 2): a value and a marker. For example, with `length` 6 and protocol "halves":

        value   0.3  0.9  0.1  0.7  0.2  0.5
        marker   0    1    0    0    0    1       target  0.9 + 0.5 = 1.4

    protocol: one of
      "halves": values ~ U[0, 1), one mark in each half (Arjovsky et al. 2016).
      "anywhere": values ~ U[0, 1), marks at two distinct steps (Bai et al. 2018).
      "hochreiter": values ~ U[-1, 1); between T and T + T // 10 steps, then padding; marker -1
        at the first and the last step; one mark among the first 10 steps and another among the
        first T // 2 - 1; if the first step is marked, its value is 0; the target is
        0.5 + (X1 + X2) / 4 (Hochreiter & Schmidhuber 1997).

    Baseline: the variance of the target. The variance of U[0, 1) is 1/12, so that of the sum of
    two values is 1/6. For "hochreiter", a value has the variance 1/3, or 0 if it is that of the
    first step. That is the first marked value with probability 1/10 and the second one with
    probability 9/10 * 1/(T//2 - 2); hence (2 - 1/10 - 9/10/(T//2 - 2)) / 48.
    """

    input_size = 2

    length: int = 100
    protocol: str = "halves"

    def __post_init__(self):
        fields.one_of("protocol", self.protocol, PROTOCOLS)
        # From 22 steps on, the T // 2 - 1 steps for the second mark contain the 10 for the first.
        fields.integer("length", self.length, 22 if self.protocol == "hochreiter" else 2)

    @property
    def steps(self) -> int:
        return self.length + (self.length // 10 if self.protocol == "hochreiter" else 0)

    @property
    def baseline_loss(self) -> float:
        if self.protocol == "hochreiter":
            return (2 - 0.1 - 0.9 / (self.length // 2 - 2)) / 48
        return 1 / 6

    def example(self, key: Key) -> Example:
        if self.protocol == "hochreiter":
            return self._hochreiter(key)
        value_key, mark_key = jax.random.split(key)
        values = jax.random.uniform(value_key, (self.length,))
        middle = self.length // 2
        if self.protocol == "halves":
            first, second = jax.random.randint(
                mark_key, (2,), jnp.array([0, middle]), jnp.array([middle, self.length])
            )
        else:
            first, second = _two_places(mark_key, self.length, self.length)
        marks = _one_hot(first, self.length) + _one_hot(second, self.length)
        return Example(jnp.stack([values, marks], axis=-1), jnp.vdot(values, marks)[None])

    def _hochreiter(self, key: Key) -> Example:
        value_key, mark_key, length_key = jax.random.split(key, 3)
        length = jax.random.randint(length_key, (), self.length, self.steps + 1)
        first, second = _two_places(mark_key, 10, self.length // 2 - 1)
        marks = _one_hot(first, self.steps) + _one_hot(second, self.steps)
        values = jax.random.uniform(value_key, (self.steps,), minval=-1.0)
        values = values.at[0].multiply(1 - marks[0])
        ends = (_one_hot(0, self.steps) + _one_hot(length - 1, self.steps)) * (1 - marks)
        inputs = jnp.stack([values, marks - ends], axis=-1)
        inputs = jnp.where(jnp.arange(self.steps)[:, None] < length, inputs, 0.0)
        return Example(inputs, 0.5 + jnp.vdot(values, marks)[None] / 4, length)


def _one_hot(place: Array | int, size: int) -> Array:
    return jax.nn.one_hot(place, size)


def _two_places(key: Key, first_of: int, second_of: int) -> tuple[Array, Array]:
    """Two distinct places: one among the first `first_of`, one among the first `second_of`."""
    keys = jax.random.split(key)
    first = jax.random.randint(keys[0], (), 0, first_of)
    second = jax.random.randint(keys[1], (), 0, second_of - 1)
    return first, second + (second >= first)
