"""The flip-flop language (Liu et al. 2023): keep the last bit that was written, drop all before."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import optax

from gru_jax import fields
from gru_jax.axes import Key, Outputs, PerExample
from gru_jax.tasks.base import Batch, Example, Task

IGNORED, READ, UNASKED = 2, 4, -1


@dataclasses.dataclass(frozen=True)
class FlipFlop(Task):
    """A memory of one bit that is overwritten, distracted and read at random moments.

    Tokens: 0 and 1 write that bit, 2 and 3 are the same bits to be ignored, 4 asks for the bit
    written last. The first token writes and the last one asks; each of those between is to be
    ignored with probability `ignore`, else it writes or asks, equally often.

        input   1 3 2 4 0 3 4
        target  . . . 1 . . 0

    Loss: cross-entropy, mean over the steps that ask. Metric "accuracy": of the same steps.

    Baseline: the bit asked for is one of two, hence ln 2.
    """

    tokens: ClassVar[bool] = True
    readout: ClassVar[str] = "every"
    input_size: ClassVar[int] = 5
    output_size: ClassVar[int] = 2
    metric_names: ClassVar[tuple[str, ...]] = ("loss", "accuracy")

    length: int = 100
    ignore: float = 0.8

    def __post_init__(self):
        fields.integer("length", self.length, 2)
        fields.real("ignore", self.ignore, least=0, below=1)

    @property
    def steps(self) -> int:
        return self.length

    @property
    def baseline_loss(self) -> float:
        return math.log(2)

    def example(self, key: Key) -> Example:
        kinds, bits = jax.random.split(key)
        chance = jax.random.uniform(kinds, (self.length,)).at[0].set(1.0).at[-1].set(self.ignore)
        bit = jax.random.bernoulli(bits, shape=(self.length,)).astype(jnp.int32)
        ignored = (chance < self.ignore).at[-1].set(False)
        asks = ~ignored & (chance < (1 + self.ignore) / 2)
        written = ~ignored & ~asks
        inputs = jnp.where(asks, READ, jnp.where(ignored, IGNORED + bit, bit))
        last = jax.lax.cummax(jnp.where(written, jnp.arange(self.length), 0))
        return Example(inputs, jnp.where(asks, bit[last], UNASKED))

    def loss(self, outputs: Outputs, batch: Batch) -> PerExample:
        each = optax.softmax_cross_entropy_with_integer_labels(outputs, batch.targets.clip(0))
        return _mean_where_asked(each, batch)

    def metrics(self, outputs: Outputs, batch: Batch) -> dict[str, PerExample]:
        right = outputs.argmax(axis=-1) == batch.targets
        return {"loss": self.loss(outputs, batch), "accuracy": _mean_where_asked(right, batch)}


def _mean_where_asked(each: Outputs, batch: Batch) -> PerExample:
    asked = batch.targets != UNASKED
    return jnp.sum(each * asked, axis=-1) / jnp.sum(asked, axis=-1)
