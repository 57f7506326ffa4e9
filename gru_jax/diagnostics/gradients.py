"""How a gradient is carried back in time. Norms are logarithms: they leave float32 otherwise.

All functions take one example and may be vmapped over examples and over models. What they
return is indexed by the lag n: entry n belongs to h_{T-n}.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.flatten_util import ravel_pytree
from jaxtyping import Float

from gru_jax import fields, lapack
from gru_jax.axes import Array, ByLag, Inputs, Outputs, Vectors
from gru_jax.cells import VanillaCell
from gru_jax.diagnostics.dynamics import Dynamics, dynamics
from gru_jax.model import SequenceModel

Model = SequenceModel | nnx.RNNCellBase
RowVectors = tuple[Vectors, Array]  # over a common scale, and its logarithm


class LossGradient(NamedTuple):
    """A loss gradient's way back.

    log_state: log |dL/dh_{T-n}|, (T + 1,); minus infinity where the gradient is zero.
    log_weights: log norm of what the step to h_{T-n} adds to dL/dweights, (T,).
    """

    log_state: ByLag
    log_weights: ByLag

    @property
    def weight_share(self) -> ByLag:
        """The share of each lag in the sum of those norms, (T,)."""
        return jax.nn.softmax(self.log_weights)


def loss_gradient(model: Model, inputs: Inputs, loss: Callable[[Outputs], Array]) -> LossGradient:
    """The norm of dL/dh_t, and what each step adds to the gradient of the weights.

    dL/dh_t is the whole derivative: through the readout at t, and through h_{t+1}, ..., h_T.
    The weights' gradient is a sum over the steps in which they are used.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      loss: of the example's outputs; of a cell alone they are all its outputs, (time, hidden).
    """
    system = dynamics(model, inputs)
    states = system.states(inputs)
    direct = jax.grad(lambda states: loss(system.read(states)))(states[1:])

    def back(cotangent, now):
        state, x, here = now
        total = _sum(cotangent, scaled(here[None]))
        _, pull = jax.vjp(lambda params: system.step(params, state, x), system.params)
        of_weights = scaled(ravel_pytree(pull(total[0][0]))[0])
        logs = log_length(total), total[1] + log_length(of_weights)
        return pulled(system, state, x, total), logs

    nothing = (jnp.zeros_like(states[:1]), jnp.array(-jnp.inf, states.dtype))
    last, (logs, weights) = jax.lax.scan(back, nothing, (states[:-1], inputs, direct), reverse=True)
    return LossGradient(jnp.append(logs[::-1], log_length(last)), weights[::-1])


def transport(model: Model, inputs: Inputs, vectors: Vectors) -> Float[Array, "count lags"]:
    """log |v^T dh_T/dh_{T-n}| for each vector v and n = 0..T: no loss is involved.

    Args:
      vectors: (count, S), of the size of the flat state; see `random_vectors`.
    """
    system = dynamics(model, inputs)
    states = system.states(inputs)

    def back(cotangent, now):
        state, x = now
        below = pulled(system, state, x, cotangent)
        return below, log_length(below)

    def along(vector):
        start = scaled(vector[None])
        _, logs = jax.lax.scan(back, start, (states[:-1], inputs), reverse=True)
        return jnp.append(log_length(start), logs[::-1])

    return jax.vmap(along)(vectors)


def random_vectors(key: Array, count: int, size: int) -> Vectors:
    """Unit vectors without a preferred direction, (count, size)."""
    vectors = jax.random.normal(key, (count, size))
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def vanilla_bound(cell: VanillaCell, inputs: Inputs) -> ByLag:
    """What no transport in a vanilla RNN can exceed, n = 0..T.

        log prod_{t > T-n} (max_i |g'(a_t,i)|) sigma_max(U),   a_t = x_t W + h_{t-1} U + b

    with g the activation (Bengio et al. 1994; Pascanu et al. 2013).

    Args:
      inputs: one example, (time, features).
    """
    before = dynamics(cell, inputs).states(inputs)[:-1]
    slope = jax.vmap(jax.vmap(jax.grad(cell.activation)))
    sums = cell.candidate(inputs, before)
    steepest = jnp.max(jnp.abs(slope(sums)), axis=1)
    largest = lapack.largest_singular_value(cell.candidate.recurrent_kernel[...])
    steps = jnp.log(steepest[::-1]) + jnp.log(largest)
    return jnp.concatenate([jnp.zeros(1, steps.dtype), jnp.cumsum(steps)])


def horizon(log_norm: ByLag, share: float = 0.01) -> Array:
    """The largest lag at which the norm is at least a share of that at lag 0.

    T where that holds for all lags (then it is at least T: the horizon is censored); 0 where
    there is no gradient at all.

    >>> int(horizon(jnp.log(jnp.array([1.0, 0.5, 0.02, 0.001, 0.03]))))
    4
    """
    fields.real("share", share, above=0)
    reached = (log_norm >= log_norm[0] + jnp.log(share)) & (log_norm > -jnp.inf)
    return jnp.max(jnp.where(reached, jnp.arange(log_norm.size), 0))


def input_response(log_norm: ByLag, inputs: Inputs) -> Float[Array, " features"]:
    """What an input adds to the gain of its step, for each feature.

        log |v^T dh_T/dh_{t-1}| - log |v^T dh_T/dh_t| = b_0 + x_t b     (least squares over t)

    In nats a unit of the feature: of a marker of 0 and 1, the gain of the steps that have it
    less that of the others. Steps without a finite gain do not count.

    Args:
      log_norm: of `transport` or of `loss_gradient`, (T + 1,).
      inputs: one example, (time, features).
    """
    gains = (log_norm[1:] - log_norm[:-1])[::-1]
    counts = jnp.isfinite(gains)
    features = jnp.concatenate([jnp.ones_like(inputs[:, :1]), inputs], axis=1)
    rows = jnp.where(counts[:, None], features, 0)
    return lapack.least_squares(rows, jnp.where(counts, gains, 0))[1:]


def pulled(system: Dynamics, state: Array, x: Array, cotangent: RowVectors) -> RowVectors:
    """v^T dh_t of each vector v as v^T (dh_t/dh_{t-1}) dh_{t-1}: through one step."""
    vectors, log = cotangent
    _, pull = jax.vjp(lambda state: system.step(system.params, state, x), state)
    vectors, growth = scaled(jax.vmap(lambda vector: pull(vector)[0])(vectors))
    return vectors, log + growth


def scaled(vectors: Vectors) -> RowVectors:
    """The vectors over their largest entry, and its logarithm; zero stays zero."""
    largest = jnp.max(jnp.abs(vectors), initial=0)
    return vectors / jnp.where(largest > 0, largest, 1), jnp.log(largest)


def log_length(cotangent: RowVectors) -> Array:
    """log of the Euclidean length of all the vectors together."""
    vectors, log = cotangent
    return log + jnp.log(jnp.linalg.norm(vectors))


def _sum(one: RowVectors, other: RowVectors) -> RowVectors:
    """The sum of two vectors that may be of very different length."""
    highest = jnp.maximum(one[1], other[1])
    highest = jnp.where(highest > -jnp.inf, highest, 0)
    apart = [vectors * jnp.exp(log - highest) for vectors, log in (one, other)]
    vectors, log = scaled(apart[0] + apart[1])
    return vectors, highest + log
