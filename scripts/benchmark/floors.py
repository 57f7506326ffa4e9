"""The floor of the benchmark: the matrix products of a step alone, in several ways."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gru_jax import CELLS
from scripts.benchmark.contenders import Contender, Work, gates

CACHED = 256  # the most rows of a segment


class Floor(Contender):
    """The matrix products of a step alone, each batched over all time steps.

    Forward: x W and h U. Backward: the gradients of W, U and h, but not of x. No way to compute
    them is the fastest for all sizes and processors, so that the floor is the best of several.

    sharded: rows are divided over one single-threaded device per core; otherwise all threads share
      each product.
    segmented: all five for some hundred rows at a time, which stay in a core's cache.
    """

    def __init__(self, cell: str, work: Work, *, sharded: bool = False, segmented: bool = False):
        from gru_jax import devices

        if sharded:
            devices.use_cpu_cores(1, work.batch)
        mesh = devices.make_mesh(1, work.batch) if sharded else devices.one_device()
        rows, whole = P(devices.BATCH), P()
        specs = (rows, rows, whole, whole, rows)
        arrays = [
            jax.device_put(array, NamedSharding(mesh, spec))
            for array, spec in zip(_factors(cell, work), specs, strict=True)
        ]

        def products(x: Any, h: Any, into: Any, across: Any, sums: Any) -> Any:
            if not segmented:
                return x @ into, h @ across, x.T @ sums, h.T @ sums, sums @ across.T

            def segment(slopes: Any, rows: Any) -> Any:
                x, h, sums = rows
                of_inputs, of_states = slopes
                slopes = of_inputs + x.T @ sums, of_states + h.T @ sums
                return slopes, (x @ into, h @ across, sums @ across.T)

            cut = lambda values: values.reshape(-1, _segment(len(x)), values.shape[-1])
            start = jnp.zeros_like(into), jnp.zeros_like(across)
            slopes, others = jax.lax.scan(segment, start, (cut(x), cut(h), cut(sums)))
            return *others, *slopes

        # The gradients of W and U are sums over the rows of each device, and are not added up.
        one = jax.shard_map(products, mesh=mesh, in_specs=specs, out_specs=rows, check_vma=False)
        self.step = jax.jit(one)
        self.wait, self.arrays = jax.block_until_ready, arrays
        self._compiled(lambda: self.step.lower(*arrays), mesh.size)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.wait(self.step(*self.arrays))


class NumpyFloor(Contender):
    """The same products by NumPy's library of linear algebra, into arrays that are there."""

    def __init__(self, cell: str, work: Work):
        x, h, into, across, sums = _factors(cell, work)
        pairs = (x, into), (h, across), (x.T, sums), (h.T, sums), (sums, across.T)
        self.products = [
            (left, right, np.empty((len(left), right.shape[1]), np.float32))
            for left, right in pairs
        ]

    def train(self, steps: int) -> None:
        for _ in range(steps):
            for left, right, product in self.products:
                np.matmul(left, right, out=product)


def _factors(cell: str, work: Work) -> list[np.ndarray]:
    """x, h, W, U, and the gradients of the sums of all gates, with a row for each time step."""
    generator, count = np.random.default_rng(0), len(gates(CELLS[cell]))
    rows = work.batch * work.time
    shapes = [
        (rows, work.features),
        (rows, work.hidden),
        (work.features, count * work.hidden),
        (work.hidden, count * work.hidden),
        (rows, count * work.hidden),
    ]
    return [generator.normal(size=shape).astype(np.float32) for shape in shapes]


def _segment(rows: int) -> int:
    """The largest number of rows, up to `CACHED`, into which they divide."""
    return max(size for size in range(1, CACHED + 1) if rows % size == 0)
