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
    """

    def __init__(self, cell: str, work: Work):
        import jax
        import jax.numpy as jnp
        import optax

        self.cell, self.work = cell, work
        weights = {name: jnp.asarray(array) for name, array in work.weights(cell).items()}
        inputs, targets = map(jnp.asarray, work.data())
        params = {"layer": self.layer(weights), "V": weights["V"], "v": weights["v"]}
        adam = optax.adam(RATE)

        def loss(params: Any) -> Any:
            last = self.last_state(params["layer"], inputs)
            return ((last @ params["V"] + params["v"] - targets) ** 2).mean()

        def step(params: Any, opt_state: Any) -> Any:
            value, gradient = jax.value_and_grad(loss)(params)
            updates, opt_state = adam.update(gradient, opt_state, params)
            return optax.apply_updates(params, updates), opt_state, value

        value, gradient = jax.jit(jax.value_and_grad(loss))(params)
        self.loss = float(value)
        self.gradient = np.stack(
            [np.asarray(kernel) for kernel in self.recurrent(gradient["layer"])]
        )
        self.step = jax.jit(step, donate_argnums=(0, 1))
        self.state = params, adam.init(params)
        self.wait = jax.block_until_ready
        self._compiled(lambda: self.step.lower(*self.state))

    def train(self, steps: int) -> None:
        for _ in range(steps):
            *state, _ = self.step(*self.state)
            self.state = tuple(state)
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
