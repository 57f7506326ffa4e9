"""The training step in other JAX libraries, written as their documentation shows it."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gru_jax import CELLS, GRUCell, LSTMCell, VanillaCell
from scripts.benchmark.contenders import Weights, gates
from scripts.benchmark.peers import Cells, JaxPeer, beside, library


class NnxPeer(JaxPeer):
    """`flax.nnx.RNN` over its GRUCell, OptimizedLSTMCell or SimpleCell."""

    cells: ClassVar[Cells] = {
        GRUCell: "GRUCell",
        LSTMCell: "OptimizedLSTMCell",
        VanillaCell: "SimpleCell",
    }

    def layer(self, weights: Weights) -> Any:
        nnx = library("flax.nnx")

        make = getattr(nnx, self.theirs(self.cell))
        rnn = nnx.RNN(make(self.work.features, self.work.hidden, rngs=nnx.Rngs(0)))
        rnn.cell.dense_i.kernel[...] = beside(weights["W"])
        rnn.cell.dense_h.kernel[...] = beside(weights["U"])
        biased = rnn.cell.dense_h if rnn.cell.dense_i.bias is None else rnn.cell.dense_i
        biased.bias[...] = weights["b"].reshape(-1)
        self.graph, params, self.rest = nnx.split(rnn, nnx.Param, ...)
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        nnx = library("flax.nnx")

        return nnx.merge(self.graph, params, self.rest, copy=True)(inputs)[:, -1]

    def recurrent(self, params: Any) -> list[Any]:
        kernel = np.asarray(params["cell"]["dense_h"]["kernel"][...])
        return np.split(kernel, len(gates(CELLS[self.cell])), axis=1)


class LinenPeer(JaxPeer):
    """`flax.linen.RNN` over its cells."""

    # The class, and the letters that name the parameters of each gate of ours.
    cells: ClassVar[Cells] = {
        GRUCell: ("GRUCell", ("r", "z", "n")),
        LSTMCell: ("OptimizedLSTMCell", ("i", "f", "g", "o")),
        VanillaCell: ("SimpleCell", ("",)),
    }

    def layer(self, weights: Weights) -> Any:
        import jax
        import jax.numpy as jnp

        linen = library("flax.linen")

        name, self.letters = self.theirs(self.cell)
        self.rnn = linen.RNN(getattr(linen, name)(self.work.hidden))
        params = self.rnn.init(jax.random.key(0), jnp.ones((1, 2, self.work.features)))
        cell = params["params"]["cell"]
        for index, gate in enumerate(self.letters):
            into, across = cell[f"i{gate}"], cell[f"h{gate}"]
            into["kernel"], across["kernel"] = weights["W"][index], weights["U"][index]
            biased = into if "bias" in into else across
            biased["bias"] = weights["b"][index]
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        return self.rnn.apply(params, inputs)[:, -1]

    def recurrent(self, params: Any) -> list[Any]:
        return [params["params"]["cell"][f"h{gate}"]["kernel"] for gate in self.letters]


@dataclasses.dataclass(frozen=True)
class _InHaiku:
    """A class of Haiku's beside a cell of ours.

    order: the index of each of its gates among ours.
    signs: in its order, -1 for a gate that equals 1 minus ours.
    shifts: in its order, what Haiku itself adds to a bias.
    otherwise: options with which our cell has its equations.
    """

    name: str
    order: tuple[int, ...] = (0,)
    signs: tuple[int, ...] = (1,)
    shifts: tuple[int, ...] = (0,)
    otherwise: Mapping[str, Any] = dataclasses.field(default_factory=dict)


class HaikuPeer(JaxPeer):
    """`haiku.dynamic_unroll` over its GRU (reset before the product), LSTM or VanillaRNN."""

    cells: ClassVar[Cells] = {
        GRUCell: _InHaiku(  # z writes where ours keeps
            "GRU", order=(1, 0, 2), signs=(-1, 1, 1), otherwise={"reset_after": False}
        ),
        LSTMCell: _InHaiku("LSTM", order=(0, 2, 1, 3), signs=(1,) * 4, shifts=(0, 0, 1, 0)),
        VanillaCell: _InHaiku("VanillaRNN", otherwise={"activation": "relu"}),
    }
    distribution = "dm-haiku"

    def layer(self, weights: Weights) -> Any:
        haiku = library("haiku")
        import jax
        import jax.numpy as jnp

        self.core: _InHaiku = self.theirs(self.cell)
        self.otherwise = self.core.otherwise

        def run(inputs: Any) -> Any:
            core = getattr(haiku, self.core.name)(self.work.hidden)
            start = core.initial_state(inputs.shape[0])
            return haiku.dynamic_unroll(core, inputs, start, time_major=False)[0][:, -1]

        self.run = haiku.without_apply_rng(haiku.transform(run))
        params = self.run.init(jax.random.key(0), jnp.ones((1, 2, self.work.features)))
        order, signs = np.array(self.core.order), np.array(self.core.signs, np.float32)
        into, across, bias = ((weights[name][order].T * signs).T for name in ("W", "U", "b"))
        bias -= np.array(self.core.shifts, np.float32)[:, None]
        # Its two kernels are separate arrays, or one array with the kernel of the inputs on top.
        first, last = params[min(params)], params[max(params)]
        self.kernels = ("w_i", "w_h") if "w_i" in first else ("w", "w")
        of_inputs, of_state = self.kernels
        first[of_inputs] = first[of_inputs].at[: self.work.features].set(beside(into))
        last[of_state] = last[of_state].at[-self.work.hidden :].set(beside(across))
        first["b"] = jnp.asarray(bias.reshape(-1))
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        return self.run.apply(params, inputs)

    def recurrent(self, params: Any) -> list[Any]:
        kernel = np.asarray(params[max(params)][self.kernels[1]])[-self.work.hidden :]
        blocks = np.split(kernel, len(self.core.order), axis=1)
        return [self.core.signs[at] * blocks[at] for at in np.argsort(self.core.order)]


class EquinoxPeer(JaxPeer):
    """`jax.lax.scan` over equinox's GRUCell or LSTMCell, vmapped over examples."""

    cells: ClassVar[Cells] = {GRUCell: "GRUCell", LSTMCell: "LSTMCell"}
    distribution = "equinox"

    def layer(self, weights: Weights) -> Any:
        equinox = library("equinox")
        import jax

        make = getattr(equinox.nn, self.theirs(self.cell))
        cell = make(self.work.features, self.work.hidden, key=jax.random.key(0))
        rows = lambda kernels: kernels.transpose(0, 2, 1).reshape(-1, kernels.shape[1])
        new = [rows(weights["W"]), rows(weights["U"]), weights["b"].reshape(-1)]
        where = lambda cell: [cell.weight_ih, cell.weight_hh, cell.bias]
        cell = equinox.tree_at(where, cell, new)
        if hasattr(cell, "bias_n"):  # added to the state's product
            cell = equinox.tree_at(lambda cell: cell.bias_n, cell, 0 * cell.bias_n)
        params, self.rest = equinox.partition(cell, equinox.is_array)
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        equinox = library("equinox")
        import jax

        cell = equinox.combine(params, self.rest)

        def run(example: Any) -> Any:
            step = lambda state, x: (cell(x, state), None)
            return self.shown(jax.lax.scan(step, self.start(), example)[0])

        return jax.vmap(run)(inputs)

    def start(self, batch: tuple[int, ...] = ()) -> Any:
        """The state before the first step."""
        import jax.numpy as jnp

        zeros = jnp.zeros((*batch, self.work.hidden))
        states = tuple(zeros for _ in CELLS[self.cell].STATES)
        return states if len(states) > 1 else zeros

    def shown(self, state: Any) -> Any:
        """The output of a state, which comes first in it."""
        return state[0] if isinstance(state, tuple) else state

    def recurrent(self, params: Any) -> list[Any]:
        blocks = np.split(np.asarray(params.weight_hh), len(gates(CELLS[self.cell])))
        return [block.T for block in blocks]
