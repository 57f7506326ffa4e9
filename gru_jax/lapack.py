"""LAPACK's routines, a matrix at a time also where they are batched.

jaxlib 0.10 divides a batch of matrices over XLA's threads and waits for them on one of these
threads. As many such calls at once as there are threads wait for ever: docs/log.md.
"""

import jax
import jax.numpy as jnp

qr = jax.custom_batching.sequential_vmap(lambda a: tuple(jnp.linalg.qr(a)))
largest_singular_value = jax.custom_batching.sequential_vmap(lambda a: jnp.linalg.norm(a, ord=2))
least_squares = jax.custom_batching.sequential_vmap(lambda a, b: jnp.linalg.lstsq(a, b)[0])
