"""Weights to and from other libraries, none of which is imported for it but Flax.

Every library has its own order of the gates, its own names and its own number of biases; a file
here is little more than a table of these, and `layout` is what they share.

What can be converted is a cell, an `RNN`, a layer, a `SequenceModel` (its recurrent layers, without
encoder and readout) or a list of these from the lowest layer to the top. Only what computes the
same is converted: anything else raises ValueError, before any parameter is changed.
"""

from gru_jax.interop.flax import from_linen, from_nnx, to_linen, to_nnx
from gru_jax.interop.keras import from_keras, to_keras
from gru_jax.interop.torch import from_torch, to_torch, torch_start

__all__ = [
    "from_keras",
    "from_linen",
    "from_nnx",
    "from_torch",
    "to_keras",
    "to_linen",
    "to_nnx",
    "to_torch",
    "torch_start",
]
