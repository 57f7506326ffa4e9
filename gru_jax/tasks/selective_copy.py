"""Selective copying (Gu & Dao 2023): the symbols to remember may be at any step."""

import dataclasses
import math

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import UNASKED, Classification, Example


@dataclasses.dataclass(frozen=True)
class SelectiveCopy(Classification):
    """Repeat, in order, the few symbols that are scattered over a long sequence of blanks.

    Tokens: 0 is blank, 1..symbols are symbols, symbols + 1 asks. The first `length` steps have
    `items` symbols at random places; the `items` steps after them ask. Targets are symbols counted
    from 0. With 8 `symbols` and 2 `items`:

        input   0 3 0 0 1 0 0 9 9
        target  . . . . . . . 2 0      (. where nothing is asked)

    Baseline: all symbols are equally likely; hence ln symbols.
    """

    tokens = True
    readout = "every"

    length: int = 64
    items: int = 8
    symbols: int = 8

    def __post_init__(self):
        fields.integer("items", self.items, 1)
        fields.integer("symbols", self.symbols, 2)
        fields.integer("length", self.length, self.items)

    @property
    def input_size(self) -> int:
        return self.symbols + 2

    @property
    def output_size(self) -> int:
        return self.symbols

    @property
    def steps(self) -> int:
        return self.length + self.items

    @property
    def baseline_loss(self) -> float:
        return math.log(self.symbols)

    def example(self, key: Key) -> Example:
        place_key, symbol_key = jax.random.split(key)
        places = jnp.sort(jax.random.permutation(place_key, self.length)[: self.items])
        symbols = jax.random.randint(symbol_key, (self.items,), 0, self.symbols)
        inputs = jnp.full(self.steps, self.symbols + 1).at[: self.length].set(0)
        targets = jnp.full(self.steps, UNASKED).at[self.length :].set(symbols)
        return Example(inputs.at[places].set(1 + symbols), targets)
