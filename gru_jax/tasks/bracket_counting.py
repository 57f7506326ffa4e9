"""Counting open brackets (the language Dyck-1)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example


@dataclasses.dataclass(frozen=True)
class BracketCounting(Classification):
    """Count the open brackets, at every step.

    Of `length` brackets, the next opens if none is open, closes if `depth` are open, and otherwise
    is either with equal probability. Tokens: 0 is "(", 1 is ")".

        input   ( ( ) ( ) )
        target  1 2 1 2 1 0

    Baseline: the entropy of the number of open brackets, mean over the steps. Its distribution at
    each step follows from that at the step before.
    """

    tokens = True
    token_names = ("(", ")")
    readout = "every"
    input_size = 2

    length: int = 60
    depth: int = 10

    def __post_init__(self):
        fields.integer("length", self.length, 1)
        fields.integer("depth", self.depth, 1)

    @property
    def output_size(self) -> int:
        return self.depth + 1

    @property
    def baseline_loss(self) -> float:
        chances = np.eye(self.depth + 1)[0]
        entropies = []
        for _ in range(self.length):
            opens = chances * np.array([1, *[0.5] * (self.depth - 1), 0])
            closes = chances - opens
            chances = np.append(0, opens[:-1]) + np.append(closes[1:], 0)
            known = chances[chances > 0]
            entropies.append(-np.sum(known * np.log(known)))
        return float(np.mean(entropies))

    def example(self, key: Key) -> Example:
        def step(count, heads):
            opens = jnp.where(count == 0, True, jnp.where(count == self.depth, False, heads))
            count = jnp.where(opens, count + 1, count - 1)
            return count, (jnp.where(opens, 0, 1), count)

        heads = jax.random.bernoulli(key, shape=(self.length,))
        _, (inputs, counts) = jax.lax.scan(step, jnp.int32(0), heads)
        return Example(inputs, counts)
