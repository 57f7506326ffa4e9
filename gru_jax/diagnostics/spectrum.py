"""The Jacobians dh_T/dh_t of a recurrent model: singular values and Lyapunov exponents.

All functions take one example and may be vmapped over examples and over models.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from gru_jax import fields, lapack
from gru_jax.axes import Array, ByLag, Inputs
from gru_jax.diagnostics.dynamics import dynamics
from gru_jax.diagnostics.gradients import Model, pulled, random_vectors, scaled

SQUARINGS = 20  # of a Gram matrix: see _log_largest


class Jacobians(NamedTuple):
    """What is kept of dh_T/dh_{T-n}, as logarithms.

    log_largest: of the largest singular value at the lags n = every, 2 every, ..., at most T.
    log_own: log |dh_T,i/dh_{T-n},i| of each layer's units (time, hidden), n = 1..T: what a unit
      keeps of itself.
    """

    log_largest: ByLag
    log_own: tuple[Float[Array, "lags hidden"], ...]


def jacobians(model: Model, inputs: Inputs, every: int = 1) -> Jacobians:
    """The product of the steps' Jacobians, from the last step backwards.

    The whole product is carried, scaled, and its largest singular value is computed from it:
    unlike a power iteration that needs no gap between them, and unlike a decomposition it is
    made of matrix products, hence fast everywhere. Memory: one (S, S) matrix, whatever T.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      every: steps from one singular value to the next.

    Raises:
      FieldError: `every` is not in 1..T.
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
    """log of the largest singular value s of A, too small by about log(S) / 2p at most.

        s^2 = tr(G P) / tr P,   G = A^T A,  P = G^p,  p = 2^SQUARINGS

    Exact where singular values are equal to s or well below it.
    """
    gram = matrix.T @ matrix
    trace = jnp.trace(gram)
    gram = jnp.where(trace > 0, gram / trace, jnp.eye(len(gram), dtype=gram.dtype))

    def square(_, power):
        power = power @ power
        return power / jnp.trace(power)

    power = jax.lax.fori_loop(0, SQUARINGS, square, gram)
    return (jnp.log(trace) + jnp.log(jnp.sum(gram * power))) / 2


def lyapunov_exponents(model: Model, inputs: Inputs, count: int) -> Float[Array, " count"]:
    """The largest exponents over this sequence, in nats a step, the largest first.

        J_t Q_{t-1} = Q_t R_t,   lambda_i = 1/T sum_t log |R_t,ii|

    (Benettin et al. 1980). Of a finite sequence: they depend on it and, less and less, on the
    start Q_0, a random one. Minus infinity where a direction is lost for good.

    Args:
      model: see `dynamics`.
      inputs: one example, (time, features) or (time,) tokens.
      count: how many, at most the size of the state.

    Raises:
      FieldError: `count` is larger than that.
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
    """Steps in which what decays as exp(exponent * t) is halved; infinite where it does not decay.

    >>> float(half_life(jnp.array(-0.1)))
    6.931...
    """
    return jnp.where(exponent < 0, jnp.log(2.0) / -exponent, jnp.inf)
