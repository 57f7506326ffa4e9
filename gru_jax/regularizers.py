"""Regularisers of recurrent networks: dropout in its forms, zoneout, and noise on the weights.

Everything random is drawn before the scan over time, from a key, and for masks from the number of
the example. It is then an ordinary input or constant of the scan: the same for every `gradient`,
on any number of devices, and after a run was killed and resumed. `masking` puts it to use.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from gru_jax import arguments, fields
from gru_jax.axes import Array, Key
from gru_jax.streams import REGULARIZERS, fold, stream

MASKS = ("step", "sequence")


@dataclasses.dataclass(frozen=True)
class Regularizer:
    """Which regularisers a model is trained with; by default none.

    Masks are 0 with probability p and otherwise 1 / (1 - p), for each example on its own, so that
    what they multiply keeps its mean. They are drawn where a model is called with a key.

    dropout: p of the masks on what a layer hands to the next, one a step; none after the last
      layer, as in PyTorch (Zaremba et al. 2014).
    input_dropout, recurrent_dropout: p of the masks on the input of each layer, and on the state
      as its gates hear it, one a sequence (Gal & Ghahramani 2016). With masks m and k, a GRU's
      update gate is sigmoid((m * x) W_z + (k * h) U_z + b_z), and the rest of z * h + (1 - z) * n
      stays as it is.
    tied: whether the gates of a layer share their two masks, or each has its own.
    candidate_dropout: p of the masks on what a step adds to the state, `Cell.CANDIDATES`
      (Semeniuta et al. 2016): for an LSTM c' = f * c + i * (m * g). What is kept is never masked.
    candidate_mask: "step" or "sequence": how often those are drawn.
    zoneout: the probability p that a unit holds its old value (Krueger et al. 2017): one rate for
      all states of the cell, or one for each, such as (0.5, 0.05) for an LSTM's c and h. In
      training h' = d * h + (1 - d) * h~, where d is 1 with probability p and h~ is the new state;
      without a key, the expectation h' = p * h + (1 - p) * h~.
    weight_noise: the standard deviation of Gaussian noise on all parameters, drawn once a call
      (Graves 2011): the gradient at W + e is that of W.
    weight_drop: p of a mask on the recurrent kernels of all gates, drawn once a call for all
      examples (DropConnect; Merity et al. 2018).

    Raises:
      FieldError: a value is outside what is allowed, or without effect.
    """

    dropout: float = 0.0
    input_dropout: float = 0.0
    recurrent_dropout: float = 0.0
    tied: bool = True
    candidate_dropout: float = 0.0
    candidate_mask: str = "step"
    zoneout: tuple[float, ...] = ()
    weight_noise: float = 0.0
    weight_drop: float = 0.0

    def __post_init__(self):
        for name in RATES:
            fields.real(name, getattr(self, name), least=0, below=1)
        fields.real("weight_noise", self.weight_noise, least=0)
        fields.boolean("tied", self.tied)
        if not (self.tied or self.input_dropout or self.recurrent_dropout):
            allowed = "True: there is neither input_dropout nor recurrent_dropout"
            raise fields.FieldError("tied", False, allowed)
        fields.one_of("candidate_mask", self.candidate_mask, MASKS)
        if self.candidate_mask != "step" and not self.candidate_dropout:
            allowed = "'step': there is no candidate_dropout"
            raise fields.FieldError("candidate_mask", self.candidate_mask, allowed)
        for rate in fields.sequence("zoneout", self.zoneout, "a list of probabilities"):
            fields.real("zoneout", rate, least=0, below=1)
        object.__setattr__(self, "zoneout", tuple(self.zoneout))  # of a list, too

    @property
    def is_random(self) -> bool:
        """Whether training draws anything."""
        return any(getattr(self, name) for name in (*RATES, "weight_noise")) or any(self.zoneout)

    @property
    def of_a_layer(self) -> "Regularizer":
        """That part which one layer takes care of, and not the whole model."""
        return dataclasses.replace(self, dropout=0.0, weight_noise=0.0)


RATES = ("dropout", "input_dropout", "recurrent_dropout", "candidate_dropout", "weight_drop")


@dataclasses.dataclass(frozen=True)
class Draws:
    """Where masks and noise come from: a key, and the numbers of the examples.

    key: a key of `jax.random`.
    examples: whole numbers, (*batch,): masks of equal numbers are equal. None for 0, 1, 2, ...
    part: the part of the model that they are for. Those of any two parts are independent.

    Each draw is made at once for all that is alike, since XLA takes a while to compile one.
    """

    key: Key
    examples: Array | None = None
    part: str = ""

    def at(self, part: str) -> "Draws":
        """Those of a part of this part."""
        return dataclasses.replace(self, part=f"{self.part}/{part}")

    def normal(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Numbers of the standard normal distribution, for all examples alike."""
        return jax.random.normal(fold(self.key, self.part), shape, dtype)

    def chosen(self, probability: Any, shape: tuple[int, ...]) -> Array:
        """Booleans that are True with this probability, for all examples alike."""
        return jax.random.bernoulli(fold(self.key, self.part), probability, shape)

    def chosen_by_example(
        self, probability: Any, batch: tuple[int, ...], shape: tuple[int, ...]
    ) -> Array:
        """Booleans (*batch, *shape) that are True with this probability.

        Args:
          probability: a number, or an array that broadcasts against `shape`.

        Raises:
          ValueError: `examples` are not whole numbers of the shape `batch`.
        """
        known = self.examples is not None
        numbers = self.examples if known else jnp.arange(math.prod(batch)).reshape(batch)
        numbers = arguments.examples(numbers, batch).reshape(-1)
        key = fold(self.key, self.part)
        one = lambda number: jax.random.bernoulli(fold(key, number), probability, shape)
        return jax.vmap(one)(numbers).reshape(*batch, *shape)


def draws(key: Key | None, examples: Any = None) -> Draws | None:
    """The draws of a call with a key; None without a key, where nothing is drawn.

    Raises:
      TypeError: `key` is something else.
    """
    if key is None:
        return None
    if not isinstance(key, jax.Array) or not (
        jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.dtype == jnp.uint32
    ):
        raise TypeError(f"key is of type {type(key).__name__}: must be one of jax.random.key")
    return Draws(key, examples)


def training_draws(
    regularizer: Regularizer, seed: int | Array, step: int | Array, examples: Array
) -> dict[str, Any]:
    """The arguments `key` and `examples` of a model in training; none where nothing is drawn."""
    if not regularizer.is_random:
        return {}
    return {"key": stream(REGULARIZERS, seed, step), "examples": examples}


def dropped(value: Array, kept: Array, rate: float) -> Array:
    """The value with what is not kept set to 0, and the rest divided by 1 - rate."""
    return jnp.where(kept, value / (1 - rate), jnp.zeros_like(value))


def checked(value: Any) -> Regularizer:
    """Returns the value; the default for None.

    Raises:
      TypeError: it is not a `Regularizer`.
    """
    if not isinstance(value, Regularizer | None):
        raise TypeError(f"regularizer is of type {type(value).__name__}: must be a Regularizer")
    return value or Regularizer()
