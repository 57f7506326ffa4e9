"""The same training step in other libraries, written as their documentation shows it."""

import dataclasses
import importlib
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from gru_jax import CELLS, Cell, GRUCell, LSTMCell, VanillaCell
from scripts.contenders import (
    CHUNK,
    RATE,
    Contender,
    LeftOutError,
    Weights,
    Work,
    gates,
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
        rnn.cell.dense_i.kernel[...] = _beside(weights["W"])
        rnn.cell.dense_h.kernel[...] = _beside(weights["U"])
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
        first[of_inputs] = first[of_inputs].at[: self.work.features].set(_beside(into))
        last[of_state] = last[of_state].at[-self.work.hidden :].set(_beside(across))
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


class KerasPeer(Peer):
    """Keras 3 on JAX: `compile` and `train_on_batch`."""

    # The class, and the index of each of its gates among ours.
    cells: ClassVar[Cells] = {
        GRUCell: ("GRU", (1, 0, 2)),
        LSTMCell: ("LSTM", (0, 1, 2, 3)),
        VanillaCell: ("SimpleRNN", (0,)),
    }
    distribution = "keras"

    def __init__(self, cell: str, work: Work):
        os.environ["KERAS_BACKEND"] = "jax"
        import jax

        keras = library("keras")

        name, order = self.theirs(cell)
        self.inputs, self.targets = work.data()
        weights = work.weights(cell)
        self.model = keras.Sequential(
            [
                keras.layers.Input((work.time, work.features)),
                getattr(keras.layers, name)(work.hidden),
                keras.layers.Dense(1),
            ]
        )
        into, across, bias = (_beside(weights[part][list(order)]) for part in ("W", "U", "b"))
        biases = np.zeros_like(self.model.get_weights()[2])
        biases.reshape(-1, bias.shape[1])[0] = bias  # a second row is added to the state's product
        self.model.set_weights([into, across, biases, weights["V"], weights["v"]])
        self.model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse")

        fixed = [variable.value for variable in self.model.non_trainable_variables]

        def loss(trainable: Any) -> Any:
            outputs, _ = self.model.stateless_call(trainable, fixed, self.inputs)
            return ((outputs - self.targets) ** 2).mean()

        trainable = [variable.value for variable in self.model.trainable_variables]
        value, gradient = jax.value_and_grad(loss)(trainable)
        self.loss = float(value)
        blocks = np.split(np.asarray(gradient[1]), len(order), axis=1)
        self.gradient = np.stack([blocks[place] for place in np.argsort(order)])
        self.train(CHUNK)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.model.train_on_batch(self.inputs, self.targets)


class TorchPeer(Peer):
    """`torch.nn.GRU`, `LSTM` or `RNN`: cuDNN's where there is a GPU."""

    cells: ClassVar[Cells] = {GRUCell: "GRU", LSTMCell: "LSTM", VanillaCell: "RNN"}
    distribution = "torch"

    def __init__(self, cell: str, work: Work):
        torch = library("torch")

        self.torch = torch
        device = "cuda" if torch.cuda.is_available() else "cpu"
        make = getattr(torch.nn, self.theirs(cell))
        weights = work.weights(cell)
        self.inputs, self.targets = (torch.from_numpy(array).to(device) for array in work.data())
        self.layer: Any = make(work.features, work.hidden, batch_first=True)
        self.readout: Any = torch.nn.Linear(work.hidden, 1)
        rows = lambda kernels: torch.from_numpy(
            kernels.transpose(0, 2, 1).reshape(-1, kernels.shape[1]).copy()
        )
        bias = torch.from_numpy(weights["b"].reshape(-1))
        state = {"weight_ih_l0": rows(weights["W"]), "weight_hh_l0": rows(weights["U"])}
        self.layer.load_state_dict(state | {"bias_ih_l0": bias, "bias_hh_l0": 0 * bias})
        readout = {"weight": torch.from_numpy(weights["V"].T.copy())}
        self.readout.load_state_dict(readout | {"bias": torch.from_numpy(weights["v"])})
        self.layer.to(device)
        self.readout.to(device)
        params = [*self.layer.parameters(), *self.readout.parameters()]
        self.adam = torch.optim.Adam(params, lr=RATE)
        loss = self._loss()
        loss.backward()
        self.loss = float(loss.detach())
        blocks = np.split(self.layer.weight_hh_l0.grad.cpu().numpy(), len(gates(CELLS[cell])))
        self.gradient = np.stack([block.T for block in blocks])
        self.train(CHUNK)

    def _loss(self) -> Any:
        outputs = self.readout(self.layer(self.inputs)[0][:, -1])
        return ((outputs - self.targets) ** 2).mean()

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.adam.zero_grad()
            self._loss().backward()
            self.adam.step()
        if self.torch.cuda.is_available():
            self.torch.cuda.synchronize()


def _beside(kernels: Any) -> Any:
    """(gates, rows, H) -> (rows, gates * H), or biases (gates, H) -> (1, gates * H)."""
    return np.concatenate(list(np.asarray(kernels).reshape(len(kernels), -1, kernels.shape[-1])), 1)
