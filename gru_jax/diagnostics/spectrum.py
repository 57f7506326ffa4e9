"""Singular values of the Jacobians dh_T/dh_t of a recurrent model, and Lyapunov exponents.

All functions take one example; apply `jax.vmap` for several examples or models.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gru_jax import fields, lapack
from gru_jax.axes import Array, ByLag, Exponents, Inputs, UnitsByLag
from gru_jax.diagnostics.dynamics import dynamics
from gru_jax.diagnostics.gradients import Model, pulled, random_vectors, scaled

SQUARINGS = 20  # how often `_log_largest` squares the Gram matrix


class Jacobians(NamedTuple):
    """The Jacobians dh_T/dh_{T-n} at each lag n, summarised.

    log_largest: the logarithm of the largest singular value, n = every, 2 * every, ... up to T.
    log_own: log |dh_T,i/dh_{T-n},i| of each unit i, n = 1..T, (lags, hidden), for each layer: how
      much a unit keeps of its own past.
    """

    log_largest: ByLag
    log_own: tuple[UnitsByLag, ...]


def jacobians(model: Model, inputs: Inputs, every: int = 1) -> Jacobians:
    """The Jacobians dh_T/dh_{T-n}: products of the steps' Jacobians, from the last step backwards.

    The product is carried from step to step as one scaled matrix, (S, S), so memory does not grow
    with T. Its largest singular value is computed by matrix products alone, which are fast on every
    device. Unlike a power iteration, this needs no gap between the singular values.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      every: the number of steps from one singular value to the next.

    Raises:
      FieldError: `every` is not in 1..T; or see `dynamics`.
    """
    time = inputs.shape[0]
    fields.integer("every", every, 1, time)
    system = dynamics(model, inputs)
    backwards = (system.states(inputs)[-2::-1], inputs[::-1])
    units = [jnp.arange(system.start.size)[place] for place in system.units]

    def back(product, now):
        state, x = now
        product = pulled(system, state, x, product)
        matrix, log = product
        return product, tuple(log + jnp.log(jnp.abs(matrix[place, place])) for place in units)

    def segment(product, steps):
        product, own = jax.lax.scan(back, product, steps)
        matrix, log = product
        return product, (log + _log_largest(matrix), own)

    whole = time - time % every
    segments = jax.tree.map(
        lambda values: values[:whole].reshape(-1, every, *values.shape[1:]), backwards
    )
    product = scaled(jnp.eye(system.start.size, dtype=system.start.dtype))
    product, (largest, own) = jax.lax.scan(segment, product, segments)
    _, rest = jax.lax.scan(back, product, jax.tree.map(lambda values: values[whole:], backwards))
    joined = lambda a, b: jnp.concatenate([a.reshape(whole, -1), b])
    return Jacobians(largest, jax.tree.map(joined, own, rest))


def _log_largest(matrix: Array) -> Array:
    """The logarithm of the largest singular value s of A, (S, S).

        s^2 = tr(G P) / tr P,   G = A^T A,  P = G^p,  p = 2^SQUARINGS

    The result is too small by log(S) / 2p at most, about; it is exact if every singular value is
    either equal to s or well below it.
    """
    gram = matrix.T @ matrix
    trace = jnp.trace(gram)
    gram = jnp.where(trace > 0, gram / trace, jnp.eye(len(gram), dtype=gram.dtype))

    def square(_, power):
        power = power @ power
        return power / jnp.trace(power)

    power = jax.lax.fori_loop(0, SQUARINGS, square, gram)
    return (jnp.log(trace) + jnp.log(jnp.sum(gram * power))) / 2


def lyapunov_exponents(model: Model, inputs: Inputs, count: int) -> Exponents:
    """The largest Lyapunov exponents along one sequence, in nats per step (Benettin et al. 1980).

        J_t Q_{t-1} = Q_t R_t,   lambda_i = 1/T sum_t log |R_t,ii|

    where J_t = dh_t/dh_{t-1}. Since the sequence is finite, they depend on it, and also on the
    random Q_0, the less the longer it is.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      count: the number of exponents, at most the size of the state.

    Returns:
      (count,), the largest first; minus infinity for a direction that the map contracts to zero.

    Raises:
      FieldError: `count` is not in 1..S; or see `dynamics`.
    """
    system = dynamics(model, inputs)
    size, dtype = system.start.size, system.start.dtype
    fields.integer("count", count, 1, size)
    start = random_vectors(jax.random.key(0), size, size)[:, :count].astype(dtype)

    def advance(carry, x):
        state, basis = carry
        state, push = jax.linearize(lambda state: system.step(system.params, state, x), state)
        basis, triangle = lapack.qr(jax.vmap(push, 1, 1)(basis))
        return (state, basis), jnp.log(jnp.abs(jnp.diagonal(triangle)))

    _, growth = jax.lax.scan(advance, (system.start, lapack.qr(start)[0]), inputs)
    return -jnp.sort(-jnp.mean(growth, axis=0))


def half_life(exponent: Array) -> Array:
    """The number of steps in which exp(exponent * t) is halved: - ln 2 / exponent.

    It is infinite if the exponent is not negative, and NaN if that is.

    >>> float(half_life(jnp.array(-0.1)))
    6.931...
    """
    return jnp.where(exponent >= 0, jnp.inf, jnp.log(2.0) / -exponent)
