"""What a recurrent model remembers: gradients through time, spectra, and gates.

Pure functions of a `SequenceModel`, of one of our cells or of any `flax.nnx` cell, and of one
example; vmap them over examples and over models.
"""

from gru_jax.diagnostics.dynamics import Dynamics, dynamics
from gru_jax.diagnostics.gates import gate_half_life, gates, kept, own_half_life
from gru_jax.diagnostics.gradients import (
    LossGradient,
    horizon,
    input_response,
    loss_gradient,
    random_vectors,
    transport,
    vanilla_bound,
)
from gru_jax.diagnostics.spectrum import Jacobians, half_life, jacobians, lyapunov_exponents

__all__ = [
    "Dynamics",
    "Jacobians",
    "LossGradient",
    "dynamics",
    "gate_half_life",
    "gates",
    "half_life",
    "horizon",
    "input_response",
    "jacobians",
    "kept",
    "loss_gradient",
    "lyapunov_exponents",
    "own_half_life",
    "random_vectors",
    "transport",
    "vanilla_bound",
]
