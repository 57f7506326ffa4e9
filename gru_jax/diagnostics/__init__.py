"""What a recurrent model remembers: gradients through time, spectra, and gates.

All are pure functions of a model and one example; apply `jax.vmap` for several examples or models.
A model is a `SequenceModel`, a `Cell` or any other cell of `flax.nnx`.
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
