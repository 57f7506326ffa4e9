"""`from_torch` and `to_torch` of `gru_jax.interop`, under the name that they had before."""

from gru_jax.interop import from_torch, to_torch

__all__ = ["from_torch", "to_torch"]
