"""Unchanged cells of other libraries in `gru_jax.scan`, instead of their own loop over time."""

from typing import Any

from scripts.benchmark.jax_peers import EquinoxPeer, HaikuPeer, NnxPeer
from scripts.benchmark.peers import library


class NnxInScan(NnxPeer):
    """Flax's cell in our `RNN`."""

    def last_state(self, params: Any, inputs: Any) -> Any:
        nnx = library("flax.nnx")
        from gru_jax import RNN

        rnn = nnx.merge(self.graph, params, self.rest, copy=True)
        states: Any = RNN(rnn.cell)(inputs)
        return states[:, -1]


class HaikuInScan(HaikuPeer):
    """Haiku's core in `scan`, which passes its state from step to step."""

    def last_state(self, params: Any, inputs: Any) -> Any:
        haiku = library("haiku")
        import jax.numpy as jnp

        from gru_jax import scan

        core = lambda: getattr(haiku, self.core.name)(self.work.hidden)
        start = haiku.transform(lambda: core().initial_state(self.work.batch)).apply({}, None)
        step = haiku.without_apply_rng(haiku.transform(lambda x, state: core()(x, state))).apply

        def advance(state: Any, x: Any) -> Any:
            output, state = step(params, x, state)
            return state, output

        return scan(advance, start, jnp.moveaxis(inputs, 1, 0))[1][-1]


class EquinoxInScan(EquinoxPeer):
    """Equinox's cell, vmapped over examples inside the loop."""

    def last_state(self, params: Any, inputs: Any) -> Any:
        equinox = library("equinox")
        import jax
        import jax.numpy as jnp

        from gru_jax import scan

        cell = equinox.combine(params, self.rest)
        several = jax.vmap(lambda x, state: cell(x, state))
        start = self.start((self.work.batch,))
        steps = jnp.moveaxis(inputs, 1, 0)
        last, _ = scan(lambda state, x: (several(x, state), None), start, steps)
        return self.shown(last)
