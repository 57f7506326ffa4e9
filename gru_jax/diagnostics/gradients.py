"""How gradients are carried back in time.

All functions take one example; apply `jax.vmap` for several examples or models. Results are indexed
by the lag n: entry n belongs to h_{T-n}. Norms are given as logarithms, since they may be too large
or too small for float32.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax.flatten_util import ravel_pytree

from gru_jax import fields, lapack
from gru_jax.axes import Array, ByLag, Inputs, Outputs, PerFeature, Vectors, VectorsByLag
from gru_jax.cells import VanillaCell
from gru_jax.diagnostics.dynamics import Dynamics, dynamics
from gru_jax.model import SequenceModel

Model = SequenceModel | nnx.RNNCellBase
RowVectors = tuple[Vectors, Array]  # vectors divided by a common scale, and its logarithm


class LossGradient(NamedTuple):
    """The gradient of a loss at each lag n.

    log_state: log |dL/dh_{T-n}|, n = 0..T; minus infinity where the gradient is zero.
    log_weights: the logarithm of the norm of what the step that computes h_{T-n} adds to the
      gradient of the weights, n = 0..T-1.
    """

    log_state: ByLag
    log_weights: ByLag

    @property
    def weight_share(self) -> ByLag:
        """The norm of each lag's part of the gradient of the weights, over the sum of them."""
        return jax.nn.softmax(self.log_weights)


def loss_gradient(model: Model, inputs: Inputs, loss: Callable[[Outputs], Array]) -> LossGradient:
    """The norms of dL/dh_t, and of what each step adds to the gradient of the weights.

    dL/dh_t is the total derivative: through the readout at t, and through h_{t+1}, ..., h_T. The
    gradient of the weights is a sum over the steps in which they are used.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      loss: a function of the example's outputs; those of a single cell are (time, hidden).

    Raises:
      FieldError: see `dynamics`.
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


def transport(model: Model, inputs: Inputs, vectors: Vectors) -> VectorsByLag:
    """log |v^T dh_T/dh_{T-n}| for each vector v, n = 0..T.

    This is how a gradient v of the last state is carried back, whatever the loss.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      vectors: (count, S), where S is the size of the flat state; see `random_vectors`.

    Returns:
      (count, T + 1).

    Raises:
      FieldError: see `dynamics`.
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

    return jax.vmap(along)(vectors.astype(system.start.dtype))


def random_vectors(key: Array, count: int, size: int) -> Vectors:
    """Unit vectors in uniformly distributed directions, (count, size)."""
    vectors = jax.random.normal(key, (count, size))
    return vectors / jnp.linalg.norm(vectors, axis=1, keepdims=True)


def vanilla_bound(cell: VanillaCell, inputs: Inputs) -> ByLag:
    """The upper bound on `transport` of unit vectors in a vanilla RNN, n = 0..T.

        log prod_{t > T-n} (max_i |g'(a_t,i)|) sigma_max(U),   a_t = x_t W + h_{t-1} U + b

    where g is the activation and sigma_max the largest singular value (Bengio et al. 1994; Pascanu
    et al. 2013).

    Args:
      cell: a vanilla cell.
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
    """The largest lag at which the norm is at least `share` times the norm at lag 0.

    Args:
      log_norm: the logarithm of the norm, n = 0..T: of `transport` or `loss_gradient`.
      share: a positive number.

    Returns:
      The lag, in steps. It is T if the norm at lag T is large enough (then the horizon is
      censored), and 0 if the gradient is zero at all lags.

    Raises:
      FieldError: `share` is not positive.

    >>> int(horizon(jnp.log(jnp.array([1.0, 0.5, 0.02, 0.001, 0.03]))))
    4
    """
    fields.real("share", share, above=0)
    reached = (log_norm >= log_norm[0] + jnp.log(share)) & (log_norm > -jnp.inf)
    return jnp.max(jnp.where(reached, jnp.arange(log_norm.size), 0))


def input_response(log_norm: ByLag, inputs: Inputs) -> PerFeature:
    """How a step's gain depends on its input: the coefficients b of a linear regression.

        log |v^T dh_T/dh_{t-1}| - log |v^T dh_T/dh_t| = b_0 + x_t b     (least squares over t)

    The left side is the gain of step t, in nats. For a marker that is 0 or 1, b is the mean gain of
    the marked steps minus that of the others, other features being equal. Steps whose gain is not
    finite are left out.

    Args:
      log_norm: the logarithm of the norm, n = 0..T: of `transport` or `loss_gradient`.
      inputs: one example, (time, features).

    Returns:
      b, (features,), in nats per unit of the feature.
    """
    gains = (log_norm[1:] - log_norm[:-1])[::-1]
    counts = jnp.isfinite(gains)
    features = jnp.concatenate([jnp.ones_like(inputs[:, :1]), inputs], axis=1)
    rows = jnp.where(counts[:, None], features, 0)
    return lapack.least_squares(rows, jnp.where(counts, gains, 0))[1:]


def pulled(system: Dynamics, state: Array, x: Array, cotangent: RowVectors) -> RowVectors:
    """Carries vectors back through one step: v^T dh_t/dh_{t-1} for each vector v."""
    vectors, log = cotangent
    _, pull = jax.vjp(lambda state: system.step(system.params, state, x), state)
    vectors, growth = scaled(jax.vmap(lambda vector: pull(vector)[0])(vectors))
    return vectors, log + growth


def scaled(vectors: Vectors) -> RowVectors:
    """Divides vectors by the largest absolute entry of all; returns its logarithm as well.

    If all entries are zero, they stay zero, and the logarithm is minus infinity.
    """
    largest = jnp.max(jnp.abs(vectors), initial=0)
    return vectors / jnp.where(largest > 0, largest, 1), jnp.log(largest)


def log_length(cotangent: RowVectors) -> Array:
    """The logarithm of the Euclidean norm of all the vectors together."""
    vectors, log = cotangent
    return log + jnp.log(jnp.linalg.norm(vectors))


def _sum(one: RowVectors, other: RowVectors) -> RowVectors:
    """The sum of two scaled sets of vectors, whose scales may differ greatly."""
    highest = jnp.maximum(one[1], other[1])
    highest = jnp.where(highest > -jnp.inf, highest, 0)
    apart = [vectors * jnp.exp(log - highest) for vectors, log in (one, other)]
    vectors, log = scaled(apart[0] + apart[1])
    return vectors, highest + log
