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
    """Ten digits, a long blank, then say the digits again; judged at every step.

    Tokens: 0 is blank, 1..8 are digits, 9 is the delimiter. `length` is T, and an example has
    T + 20 steps. With two digits in place of ten, T = 4 looks so:

        "arjovsky"  input   3 7 0 0 0 9 0 0     T - 1 blanks, a delimiter, blanks
        "tcn"       input   3 7 0 0 0 9 9 9     T - 1 blanks, delimiters to the end
        both        target  0 0 0 0 0 0 3 7

    ("arjovsky": Arjovsky et al. 2016; "tcn": Bai et al. 2018, who feed the digit as a scalar:
    `encoder="scalar"`. The latter judge 10 classes, of which the delimiter never occurs; both
    protocols have 10 here so that models are the same.)

    Loss: cross-entropy, mean over all T + 20 steps. Metric "accuracy": of the last ten steps.

    Baseline: a blank is certain at T + 10 steps, a digit is one of eight at ten steps, hence
    10 ln 8 / (T + 20).
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
        del batch  # its blanks are easy
        return jnp.arange(self.steps) >= self.steps - DIGITS
