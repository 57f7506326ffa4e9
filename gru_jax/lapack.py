"""LAPACK's routines, which take one matrix after the other even under `vmap`.

jaxlib 0.10 divides a batch of matrices over XLA's threads, and the call waits for them on one of
the same threads. If there are as many such calls at once as threads, they wait forever: see
docs/log.md.
"""

import jax
import jax.numpy as jnp

qr = jax.custom_batching.sequential_vmap(lambda a: tuple(jnp.linalg.qr(a)))
largest_singular_value = jax.custom_batching.sequential_vmap(lambda a: jnp.linalg.norm(a, ord=2))
least_squares = jax.custom_batching.sequential_vmap(lambda a, b: jnp.linalg.lstsq(a, b)[0])
