"""The flip-flop language (Liu et al. 2023): remember the bit that was written last."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import UNASKED, Classification, Example

IGNORED, READ = 2, 4


@dataclasses.dataclass(frozen=True)
class FlipFlop(Classification):
    """Repeat the bit that was written last, whenever it is asked for.

    Tokens: 0 and 1 write a bit, 2 and 3 are bits to be ignored, 4 asks for the bit that was written
    last. Of `length` tokens, the first writes and the last asks. Each one between them is to be
    ignored with probability `ignore`; otherwise it writes or asks with equal probability.

        input   1 3 2 4 0 3 4
        target  . . . 1 . . 0      (. where nothing is asked)

    Baseline: both bits are equally likely; hence ln 2.
    """

    tokens = True
    readout = "every"
    input_size = 5
    output_size = 2

    length: int = 100
    ignore: float = 0.8

    def __post_init__(self):
        fields.integer("length", self.length, 2)
        fields.real("ignore", self.ignore, least=0, below=1)

    @property
    def baseline_loss(self) -> float:
        return math.log(2)

    def example(self, key: Key) -> Example:
        kinds, bits = jax.random.split(key)
        chance = jax.random.uniform(kinds, (self.length,)).at[0].set(1.0)
        bit = jax.random.bernoulli(bits, shape=(self.length,)).astype(jnp.int32)
        ignored = (chance < self.ignore).at[-1].set(False)
        asks = (~ignored & (chance < (1 + self.ignore) / 2)).at[-1].set(True)
        written = ~ignored & ~asks
        inputs = jnp.where(asks, READ, jnp.where(ignored, IGNORED + bit, bit))
        last = jax.lax.cummax(jnp.where(written, jnp.arange(self.length), 0))
        return Example(inputs, jnp.where(asks, bit[last], UNASKED))
