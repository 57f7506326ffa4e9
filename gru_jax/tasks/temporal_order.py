"""Temporal order (Hochreiter & Schmidhuber 1997, tasks 6a and 6b)."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example, one_of

DISTRACTORS, X, START, END = 4, 4, 6, 7  # tokens 0..3 are distractors, and Y is X + 1
# The first and the last place of each relevant symbol, in hundredths of T.
PLACES = {2: ((10, 20), (50, 60)), 3: ((10, 20), (33, 43), (66, 76))}


@dataclasses.dataclass(frozen=True)
class TemporalOrder(Classification):
    """Name the order of two (task 6a) or three (task 6b) relevant symbols, after the last step.

    Tokens: X and Y are relevant; a, b, c and d are distractors; E is the first token and B the
    last. An example has between T, the `length`, and T + T // 10 steps, then padding. Of the
    symbols, `relevant` are at steps T/10..T/5 and T/2..6T/10 (6a), or T/10..T/5, 33T/100..43T/100
    and 66T/100..76T/100 (6b), counted from 0. T = 100 gives the lengths and places of the paper.

        input   E X b d a c Y c d a B
        target  1                          the order XY, among XX, XY, YX, YY

    Baseline: all 2^relevant orders are equally likely; hence relevant ln 2.
    """

    tokens = True
    token_names = ("a", "b", "c", "d", "X", "Y", "E", "B")
    readout = "last"
    input_size = 8

    length: int = 100
    relevant: int = 2

    def __post_init__(self):
        fields.integer("length", self.length, 10)
        fields.integer("relevant", self.relevant, 2, 3)

    @property
    def output_size(self) -> int:
        return 2**self.relevant

    @property
    def steps(self) -> int:
        return self.length + self.length // 10

    @property
    def baseline_loss(self) -> float:
        return self.relevant * math.log(2)

    def example(self, key: Key) -> Example:
        length_key, place_key, symbol_key, noise_key = jax.random.split(key, 4)
        length = one_of(length_key, self.length, self.steps)
        bounds = jnp.array(PLACES[self.relevant]) * self.length // 100
        places = jax.random.randint(place_key, (self.relevant,), bounds[:, 0], bounds[:, 1] + 1)
        symbols = jax.random.randint(symbol_key, (self.relevant,), 0, 2)
        inputs = jax.random.randint(noise_key, (self.steps,), 0, DISTRACTORS)
        inputs = inputs.at[places].set(X + symbols).at[0].set(START).at[length - 1].set(END)
        powers = 2 ** jnp.arange(self.relevant)[::-1]
        return Example(inputs, jnp.vdot(powers, symbols), length)
