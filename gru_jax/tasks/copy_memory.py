"""The copy problem (Hochreiter & Schmidhuber 1997) in its two published protocols."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Array, Key
from gru_jax.tasks.base import Batch, Classification, Example

SYMBOLS, DIGITS, BLANK, DELIMITER = 8, 10, 0, 9
PROTOCOLS = ("arjovsky", "tcn")


@dataclasses.dataclass(frozen=True)
class CopyMemory(Classification):
    """Read ten digits, wait over a long blank, then repeat the digits.

    Tokens: 0 is blank, 1..8 are digits, 9 is the delimiter. An example has T + 20 steps, where T
    is `length`. With two digits instead of ten and T = 4:

        "arjovsky"  input   3 7 0 0 0 9 0 0     T - 1 blanks, a delimiter, blanks
        "tcn"       input   3 7 0 0 0 9 9 9     T - 1 blanks, delimiters to the end
        both        target  0 0 0 0 0 0 3 7

    "arjovsky" is the protocol of Arjovsky et al. (2016), "tcn" that of Bai et al. (2018), who also
    feed each token as one number (`encoder="scalar"`). Both have 10 classes here, as in the
    latter, although the delimiter is never a target.

    Loss: cross-entropy, mean over all T + 20 steps. Metric "accuracy": over the last ten steps.

    Baseline: T + 10 steps are certainly blank, and at the other ten steps each of eight digits is
    equally likely; hence 10 ln 8 / (T + 20).
    """

    tokens = True
    readout = "every"
    input_size = 10
    output_size = 10

    length: int = 50
    protocol: str = "arjovsky"

    def __post_init__(self):
        fields.one_of("protocol", self.protocol, PROTOCOLS)
        fields.integer("length", self.length, 1)

    @property
    def steps(self) -> int:
        return self.length + 2 * DIGITS

    @property
    def baseline_loss(self) -> float:
        return DIGITS * math.log(SYMBOLS) / self.steps

    def example(self, key: Key) -> Example:
        digits = jax.random.randint(key, (DIGITS,), 1, SYMBOLS + 1)
        delimiters = 1 if self.protocol == "arjovsky" else DIGITS + 1
        inputs = jnp.full(self.steps, BLANK).at[:DIGITS].set(digits)
        start = DIGITS + self.length - 1
        inputs = inputs.at[start : start + delimiters].set(DELIMITER)
        return Example(inputs, jnp.full(self.steps, BLANK).at[-DIGITS:].set(digits))

    def counted(self, batch: Batch) -> Array:
        del batch  # only the digits count: the blanks are easy
        return jnp.arange(self.steps) >= self.steps - DIGITS
