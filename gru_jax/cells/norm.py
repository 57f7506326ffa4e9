"""Layer normalisation within a cell (Ba, Kiros & Hinton 2016)."""

from collections.abc import Sequence
from typing import Any, Unpack

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jax.nn.initializers import ones

from gru_jax import fields
from gru_jax.axes import State, StepInput
from gru_jax.cells.base import CellOptions, Gate, add_bias, parameter, spread

EPSILON = 1e-5


class LayerNorm(nnx.Module):
    """LN(a) = gain * (a - mean) / sqrt(variance + 1e-5), over all units of one or more arrays.

    The products of several gates are normalised together, as if they were one array, after the
    paper. Whoever normalises has a bias to add.

    Args:
      count: how many arrays.
      hidden_features: H, the units of each.
      rngs, param_dtype: the source and the precision of the gains, which start at 1.
    """

    def __init__(
        self, count: int, hidden_features: int, *, rngs: nnx.Rngs, param_dtype: Any = jnp.float32
    ):
        self.gain = parameter(ones, rngs, (count, hidden_features), param_dtype)

    def __call__(self, *arrays: State) -> list[State]:
        size = self.gain[...].size
        over_units = lambda arrays: sum(jnp.sum(a, axis=-1, keepdims=True) for a in arrays) / size
        mean = over_units(arrays)
        centred = [a - mean for a in arrays]
        scale = lax.rsqrt(over_units([a * a for a in centred]) + EPSILON)
        return [
            a * scale * spread(gain, a) for a, gain in zip(centred, self.gain[...], strict=True)
        ]


class NormedSums(nnx.Module):
    """The sums of several gates, normalised together; W = [W_1 W_2 ...], U and b alike.

        LN(x W) + LN(h U) + b             form="products"
        LN(x W + h U) + b                 form="sum"
        LN(x W) + h U + b                 form="inputs"

    Args:
      form: see above.
      count: how many gates.
      hidden_features: H.
      rngs: the source of the parameters.
      options: see `CellOptions`.
    """

    def __init__(
        self,
        form: str,
        count: int,
        hidden_features: int,
        *,
        rngs: nnx.Rngs,
        **options: Unpack[CellOptions],
    ):
        self.form = fields.one_of("norm", form, ("products", "sum", "inputs"))
        make = lambda: LayerNorm(
            count,
            hidden_features,
            rngs=rngs,
            param_dtype=options.get("param_dtype", jnp.float32),
        )
        self.first = make()
        self.second = make() if form == "products" else None

    def __call__(self, gates: Sequence[Gate], x: StepInput, h: State) -> list[State]:
        along = [gate.along(x) for gate in gates]
        across = [gate.recur(h) for gate in gates]
        if self.form == "sum":
            sums = self.first(*[a + b for a, b in zip(along, across, strict=True)])
        else:
            across = across if self.second is None else self.second(*across)
            sums = [a + b for a, b in zip(self.first(*along), across, strict=True)]
        return [add_bias(a, gate.bias) for a, gate in zip(sums, gates, strict=True)]
