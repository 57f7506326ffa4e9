"""Reviews in which only the verdict counts, at the start or at the end, and the plot misleads."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example

NEUTRAL, BAD, TURN = 0, 1, 3  # "good" is BAD + 1
VALENCED = 0.5  # the share of a plot's words that have a valence
AGREEING = 0.8  # the share of those whose valence is that of the mood


@dataclasses.dataclass(frozen=True)
class Verdict(Classification):
    """Say after the last word of a review whether its verdict is good (1) or bad (0).

    Tokens, of which there are `length`: "the" is neutral, "bad" and "good" have a valence, "."
    separates plot and verdict. The verdict is three words of one valence. The plot has a mood, good
    or bad, which is independent of the verdict: half of its words have a valence, and four in five
    of those have that of the mood.

        where="end"    the good good the bad good . bad bad bad        target 0
        where="start"  bad bad bad . the good good the bad good        target 0

    Baseline: both verdicts are equally likely; hence ln 2.
    """

    tokens = True
    token_names = ("the", "bad", "good", ".")
    readout = "last"
    input_size = 4
    output_size = 2
    baseline_loss = math.log(2)
    words: ClassVar[int] = 3  # the number of words of the verdict

    length: int = 100
    where: str = "end"

    def __post_init__(self):
        fields.integer("length", self.length, self.words + 1)
        fields.one_of("where", self.where, ("end", "start"))

    @property
    def spans(self) -> dict[str, tuple[int, int]]:
        """First step, and the one after the last, of the plot, the turn (".") and the verdict."""
        if self.where == "start":
            turn = self.words
            return {"plot": (turn + 1, self.length), "turn": (turn, turn + 1), "verdict": (0, turn)}
        turn = self.length - self.words - 1
        return {
            "plot": (0, turn),
            "turn": (turn, turn + 1),
            "verdict": (turn + 1, self.length),
        }

    def example(self, key: Key) -> Example:
        verdict_key, mood_key, valence_key, agree_key = jax.random.split(key, 4)
        verdict, mood = (jax.random.bernoulli(k).astype(jnp.int32) for k in (verdict_key, mood_key))
        size = (self.length - self.words - 1,)
        agrees = jax.random.bernoulli(agree_key, AGREEING, size)
        valence = BAD + jnp.where(agrees, mood, 1 - mood)
        plot = jnp.where(jax.random.bernoulli(valence_key, VALENCED, size), valence, NEUTRAL)
        said, turn = jnp.full(self.words, BAD + verdict), jnp.array([TURN])
        parts = [plot, turn, said] if self.where == "end" else [said, turn, plot]
        return Example(jnp.concatenate(parts), verdict)
