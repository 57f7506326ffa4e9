"""What the same training step in other libraries has in common."""

import importlib
from typing import Any, ClassVar

import numpy as np

from gru_jax import CELLS, Cell
from scripts.benchmark.contenders import (
    RATE,
    Contender,
    LeftOutError,
    Weights,
    Work,
)


def library(name: str) -> Any:
    """A library's module.

    Raises:
      LeftOutError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LeftOutError(str(error)) from None


Cells = dict[type[Cell], Any]


class Peer(Contender):
    """Another library.

    cells: for each of our cells that it has: the name there, and what else differs.
    """

    cells: ClassVar[Cells]

    def theirs(self, cell: str) -> Any:
        """The entry of `cells`.

        Raises:
          LeftOutError: the library has no such cell.
        """
        if CELLS[cell] not in self.cells:
            raise LeftOutError(f"it has no {cell} cell")
        return self.cells[CELLS[cell]]


class JaxPeer(Peer):
    """A jitted step of value_and_grad and optax's Adam, in a Python loop.

    A subclass gives its library's parameters and forward pass; everything else is the same.

    together: steps in one dispatch, in a `jax.lax.scan`; documentations have one.
    sharded: the batch is divided over one single-threaded device per core, as ours is.
    """

    def __init__(self, cell: str, work: Work, *, together: int = 1, sharded: bool = False):
        from gru_jax import devices

        if sharded:
            devices.use_cpu_cores(1, work.batch)
        import jax
        import jax.numpy as jnp
        import optax
        from jax.sharding import PartitionSpec as P

        from gru_jax.population import mean_over_batch

        self.cell, self.work, self.together = cell, work, together
        weights = {name: jnp.asarray(array) for name, array in work.weights(cell).items()}
        batch = tuple(map(jnp.asarray, work.data()))
        params = {"layer": self.layer(weights), "V": weights["V"], "v": weights["v"]}
        adam = optax.adam(RATE)
        mesh = devices.make_mesh(1, work.batch) if sharded else devices.one_device()

        def loss(params: Any, batch: Any) -> Any:
            inputs, targets = batch
            last = self.last_state(params["layer"], inputs)
            return ((last @ params["V"] + params["v"] - targets) ** 2).mean()

        def step(state: Any, batch: Any) -> Any:
            params, opt_state = state
            found = jax.value_and_grad(loss)(params, batch)
            value, gradient = mean_over_batch(mesh, found) if sharded else found
            updates, opt_state = adam.update(gradient, opt_state, params)
            return (optax.apply_updates(params, updates), opt_state), value

        def steps(state: Any, batch: Any) -> Any:
            if together == 1:
                return step(state, batch)
            return jax.lax.scan(lambda state, _: step(state, batch), state, None, length=together)

        if sharded:
            shared, divided = P(), P(devices.BATCH)
            specs: dict[str, Any] = {"in_specs": (shared, divided), "out_specs": (shared, shared)}
            steps = jax.shard_map(steps, mesh=mesh, check_vma=False, **specs)
            batch = jax.device_put(batch, jax.sharding.NamedSharding(mesh, divided))
        value, gradient = jax.jit(jax.value_and_grad(loss))(params, batch)
        self.loss = float(value)
        self.gradient = np.stack(
            [np.asarray(kernel) for kernel in self.recurrent(gradient["layer"])]
        )
        self.step = jax.jit(steps, donate_argnums=0)
        self.state, self.batch = (params, adam.init(params)), batch
        self.wait = jax.block_until_ready
        self._compiled(lambda: self.step.lower(self.state, self.batch), mesh.size)

    def train(self, steps: int) -> None:
        for _ in range(0, steps, self.together):
            self.state, _ = self.step(self.state, self.batch)
        self.wait(self.state)

    def layer(self, weights: Weights) -> Any:
        """The library's parameters of the recurrent layer."""
        raise NotImplementedError

    def last_state(self, params: Any, inputs: Any) -> Any:
        """(batch, time, features) -> (batch, hidden)."""
        raise NotImplementedError

    def recurrent(self, params: Any) -> list[Any]:
        """The recurrent kernel of each gate."""
        raise NotImplementedError


def beside(kernels: Any) -> Any:
    """(gates, rows, H) -> (rows, gates * H), or biases (gates, H) -> (1, gates * H)."""
    return np.concatenate(list(np.asarray(kernels).reshape(len(kernels), -1, kernels.shape[-1])), 1)
