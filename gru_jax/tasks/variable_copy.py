"""Copy over a lag that differs from example to example (Tallec & Ollivier 2018)."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import UNASKED, Classification, Example, one_of
from gru_jax.tasks.copy_memory import BLANK, DELIMITER, DIGITS, SYMBOLS


@dataclasses.dataclass(frozen=True)
class VariableCopy(Classification):
    """Ten digits, 0..T - 1 blanks, a delimiter, then say the digits again.

    Tokens as in `CopyMemory`, targets are digits counted from 0. Only the ten steps behind the
    delimiter are judged, unlike in the paper; an example has T + 20 steps at most (padded
    behind). With two digits in place of ten:

        input   3 7 0 0 9 0 0 _        target  . . . . . 2 6 _

    Baseline: a digit is one of eight, hence ln 8.
    """

    tokens = True
    readout = "every"
    input_size = 10
    output_size = SYMBOLS
    baseline_loss = math.log(SYMBOLS)

    length: int = 50

    def __post_init__(self):
        fields.integer("length", self.length, 1)

    @property
    def steps(self) -> int:
        return self.length + 2 * DIGITS

    def example(self, key: Key) -> Example:
        digit_key, lag_key = jax.random.split(key)
        digits = jax.random.randint(digit_key, (DIGITS,), 0, SYMBOLS)
        lag = one_of(lag_key, 1, self.length)
        answers = DIGITS + lag + jnp.arange(DIGITS)
        inputs = jnp.full(self.steps, BLANK).at[:DIGITS].set(1 + digits)
        targets = jnp.full(self.steps, UNASKED).at[answers].set(digits)
        return Example(inputs.at[DIGITS + lag - 1].set(DELIMITER), targets, lag + 2 * DIGITS)
