"""The copy problem with a lag that differs between examples (Tallec & Ollivier 2018)."""

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
    """Read ten digits, wait for 0 to T - 1 blanks and a delimiter, then repeat the digits.

    Tokens are those of `CopyMemory`; targets are digits counted from 0. Unlike in the paper, only
    the ten steps after the delimiter count. An example has at most T + 20 steps, where T is
    `length`, then padding. With two digits instead of ten:

        input   3 7 0 0 9 0 0 _
        target  . . . . . 2 6 _      (. where nothing is asked, _ padding)

    Baseline: all eight digits are equally likely; hence ln 8.
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
