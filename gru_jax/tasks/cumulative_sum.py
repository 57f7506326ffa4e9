"""The running sum modulo k, a state that every input changes; parity if k = 2."""

import dataclasses
import math

import jax

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example


@dataclasses.dataclass(frozen=True)
class CumulativeSum(Classification):
    """Add up all tokens so far, modulo `modulus`, at every step.

    Tokens: `length` of 0..modulus - 1, all equally likely. With `modulus` 2, the sum is the parity:

        input   1 0 1 1 0
        target  1 1 0 1 1

    Baseline: the first token is uniform, and therefore every sum; hence ln modulus.
    """

    tokens = True
    readout = "every"

    length: int = 40
    modulus: int = 2

    def __post_init__(self):
        fields.integer("length", self.length, 1)
        fields.integer("modulus", self.modulus, 2)

    @property
    def input_size(self) -> int:
        return self.modulus

    @property
    def output_size(self) -> int:
        return self.modulus

    @property
    def baseline_loss(self) -> float:
        return math.log(self.modulus)

    def example(self, key: Key) -> Example:
        inputs = jax.random.randint(key, (self.length,), 0, self.modulus)
        # Reduced at every addition, since the sum itself may exceed 32 bits.
        sums = jax.lax.associative_scan(lambda a, b: (a + b) % self.modulus, inputs)
        return Example(inputs, sums)
