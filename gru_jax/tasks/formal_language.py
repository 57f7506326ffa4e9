"""Formal languages, trained on short strings and tested on longer ones (Delétang et al. 2023)."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax import fields, streams
from gru_jax.axes import Array, Key
from gru_jax.streams import TEST, TRAIN, VALIDATION, fold, stream
from gru_jax.tasks.base import UNASKED, Batch, Classification, Example, one_of
from gru_jax.tasks.languages import LANGUAGES, Language


@dataclasses.dataclass(frozen=True)
class FormalLanguage(Classification):
    """Answer a question about a string that has just been read; test strings are longer.

    A string of n symbols is followed by one empty symbol, at which the answer is due, or by n of
    them where the answer is a string. The question is the `language`:

        even_pairs          are as many 01 as 10 in it? that is, do its ends agree: 0, else 1
        parity              is the number of ones odd?
        cycle_navigation    where one is after steps back (0), none (1) and forth (2) on a ring of 5
        modular_arithmetic  the value of 1 + 2 * 3 - 4 modulo 5; symbols 5, 6, 7 are +, -, *
        bucket_sort         its five kinds of symbols, sorted
        missing_duplicate   a string of bits twice: what stands in the place of the only 2?
        reverse             the bits from the last to the first
        odds_first          the second, fourth, ... bit, then the first, third, ...

    Every step of training has strings of one length, drawn from shortest..length. Validation has
    strings of all these lengths, and test of the lengths from there to `longest` (where there are
    none, of the same). Expressions of even length lack their last symbol, so that beyond an odd
    `length` the first ones to be tested have two symbols more; a string that is doubled has a 3
    behind it where the length is odd.

    Baseline: each answer's entropy, mean over the lengths of the strings that are judged.

    Source: the authors' code. There, outputs pass a ReLU before the readout, and the published
    score is of the lengths from 42, for strings of up to 40 in training.
    """

    tokens = True

    language: str = "even_pairs"
    length: int = 40
    shortest: int = 1
    longest: int = 100

    def __post_init__(self):
        fields.one_of("language", self.language, LANGUAGES)
        fields.integer("length", self.length, 1)
        fields.integer("shortest", self.shortest, 1, self.length)
        fields.integer("longest", self.longest, self.length)

    @property
    def rules(self) -> Language:
        return LANGUAGES[self.language]

    @property
    def readout(self) -> str:
        return "every" if self.rules.transduces else "last"

    @property
    def input_size(self) -> int:
        return self.rules.symbols + 1

    @property
    def output_size(self) -> int:
        return self.rules.classes

    @property
    def steps(self) -> int:
        """Of a training example; those of evaluations have room for `longest` symbols."""
        return self._steps(self.length)

    @property
    def baseline_loss(self) -> float:
        first, last = self._bounds(self.judged)
        return float(np.mean([self.rules.entropy(n) for n in range(first, last + 1)]))

    def with_length(self, length: int) -> "FormalLanguage":
        """With strings of exactly this length."""
        changed = dataclasses.replace(self, length=length, shortest=length, longest=length)
        return changed.judged_on(self.judged)

    def example(self, key: Key) -> Example:
        length_key, key = jax.random.split(key)
        return self._written(key, one_of(length_key, self.shortest, self.length), self.length)

    def training_examples(
        self, seed: Array, step: Array, indices: Array, data: Any, size: int
    ) -> Batch:
        del data, size
        return self._of_one_length(stream(TRAIN, seed, step), indices)

    def evaluation_examples(self, indices: Array, data: Any, split: Array | None = None) -> Batch:
        del data
        code = np.uint32(streams.code(self.judged)) if split is None else split
        return self._of_all_lengths(code, indices)

    @functools.partial(jax.jit, static_argnums=0)
    def _of_one_length(self, key: Key, indices: Array) -> Batch:
        n = one_of(fold(key, "length"), self.shortest, self.length)
        return jax.vmap(lambda index: self._written(fold(key, index), n, self.length))(indices)

    @functools.partial(jax.jit, static_argnums=0)
    def _of_all_lengths(self, split: Array, indices: Array) -> Batch:
        bounds = jnp.array([self._bounds(TEST), self._bounds(VALIDATION)])
        first, last = jnp.where(split == np.uint32(streams.code(TEST)), *bounds)

        def example(index: Array) -> Example:
            length_key, key = jax.random.split(fold(stream(split), index))
            n = one_of(length_key, first, last)
            return self._written(key, n, self.longest)

        return jax.vmap(example)(indices)

    def _bounds(self, split: str) -> tuple[int, int]:
        """The shortest and the longest string of a split."""
        # The first length beyond, at which a string is not cut to one of training.
        beyond = self.length + 1 + (self.rules.odd and self.length % 2)
        longer = split == TEST and self.longest >= beyond
        return (beyond, self.longest) if longer else (self.shortest, self.length)

    def _steps(self, size: int) -> int:
        return 2 * size if self.rules.transduces else size + 1

    def _written(self, key: Key, n: Array, size: int) -> Example:
        """The example of a string of n symbols, in the room of one of `size`."""
        string, n, answers = self.rules.draw(key, n, size)
        at = jnp.arange(self._steps(size))
        inputs = jnp.where(at < n, string[at.clip(max=size - 1)], self.rules.symbols)
        if not self.rules.transduces:
            return Example(inputs, answers, n + 1)
        due = (at >= n) & (at < 2 * n)
        return Example(inputs, jnp.where(due, answers[(at - n).clip(0, size - 1)], UNASKED), 2 * n)
