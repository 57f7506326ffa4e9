"""The same training step in other libraries, as their documentation shows them used."""

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from scripts.contenders import (
    CHUNK,
    GATES,
    RATE,
    Contender,
    Floor,
    LeftOutError,
    Ours,
    Weights,
    Work,
)


def library(name: str) -> Any:
    """A peer's module.

    Raises:
      LeftOutError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise LeftOutError(str(error)) from None


class JaxPeer(Contender):
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

    def layer(self, weights: Weights) -> Any:
        nnx = library("flax.nnx")

        makes = {"gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell, "vanilla": nnx.SimpleCell}
        make: Any = makes[self.cell]
        rnn = nnx.RNN(make(self.work.features, self.work.hidden, rngs=nnx.Rngs(0)))
        rnn.cell.dense_i.kernel[...] = _beside(weights["W"])
        rnn.cell.dense_h.kernel[...] = _beside(weights["U"])
        biased = rnn.cell.dense_h if self.cell == "lstm" else rnn.cell.dense_i
        biased.bias[...] = weights["b"].reshape(-1)
        self.graph, params, self.rest = nnx.split(rnn, nnx.Param, ...)
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        nnx = library("flax.nnx")

        return nnx.merge(self.graph, params, self.rest, copy=True)(inputs)[:, -1]

    def recurrent(self, params: Any) -> list[Any]:
        return np.split(np.asarray(params["cell"]["dense_h"]["kernel"][...]), self.gates, axis=1)

    @property
    def gates(self) -> int:
        return len(GATES[self.cell])


class LinenPeer(JaxPeer):
    """`flax.linen.RNN` over its cells."""

    def layer(self, weights: Weights) -> Any:
        import jax
        import jax.numpy as jnp

        linen = library("flax.linen")

        makes = {
            "gru": linen.GRUCell,
            "lstm": linen.OptimizedLSTMCell,
            "vanilla": linen.SimpleCell,
        }
        make: Any = makes[self.cell]
        self.rnn = linen.RNN(make(self.work.hidden))
        params = self.rnn.init(jax.random.key(0), jnp.ones((1, 2, self.work.features)))
        cell = params["params"]["cell"]
        for index, gate in enumerate(self.letters):
            into, across = cell[f"i{gate}"], cell[f"h{gate}"]
            into["kernel"], across["kernel"] = weights["W"][index], weights["U"][index]
            biased = across if self.cell == "lstm" else into
            biased["bias"] = weights["b"][index]
        if self.cell == "gru":
            cell["hn"]["bias"] = jnp.zeros(self.work.hidden)
        return params

    @property
    def letters(self) -> tuple[str, ...]:
        return {"gru": tuple("rzn"), "lstm": tuple("ifgo"), "vanilla": ("",)}[self.cell]

    def last_state(self, params: Any, inputs: Any) -> Any:
        return self.rnn.apply(params, inputs)[:, -1]

    def recurrent(self, params: Any) -> list[Any]:
        return [params["params"]["cell"][f"h{gate}"]["kernel"] for gate in self.letters]


class HaikuPeer(JaxPeer):
    """`haiku.dynamic_unroll` over its GRU (reset before the product), LSTM or VanillaRNN."""

    # Where the gate stands in Haiku's kernels: z, r, a; i, g, f, o.
    order: ClassVar[dict[str, list[int]]] = {
        "gru": [1, 0, 2],
        "lstm": [0, 2, 1, 3],
        "vanilla": [0],
    }

    def layer(self, weights: Weights) -> Any:
        haiku = library("haiku")
        import jax
        import jax.numpy as jnp

        makes = {"gru": haiku.GRU, "lstm": haiku.LSTM, "vanilla": haiku.VanillaRNN}

        def run(inputs: Any) -> Any:
            core = makes[self.cell](self.work.hidden)
            start = core.initial_state(inputs.shape[0])
            return haiku.dynamic_unroll(core, inputs, start, time_major=False)[0][:, -1]

        self.run = haiku.without_apply_rng(haiku.transform(run))
        params = self.run.init(jax.random.key(0), jnp.ones((1, 2, self.work.features)))
        into, across, bias = (
            _beside(weights[name][np.array(self.order[self.cell])]) for name in ("W", "U", "b")
        )
        if self.cell == "gru":  # it writes where ours keeps: z is 1 - z
            sign = np.ones(into.shape[1], np.float32)
            sign[: self.work.hidden] = -1
            params["gru"].update({"w_i": into * sign, "w_h": across * sign, "b": bias[0] * sign})
        elif self.cell == "lstm":  # it adds 1 to the forget gate
            shift = np.zeros(into.shape[1], np.float32)
            shift[2 * self.work.hidden : 3 * self.work.hidden] = 1
            joined = jnp.concatenate([into, across])
            params["lstm/linear"].update({"w": joined, "b": bias[0] - shift})
        else:
            params["vanilla_rnn/linear"].update({"w": into, "b": bias[0]})
            params["vanilla_rnn/linear_1"].update({"w": across, "b": jnp.zeros(self.work.hidden)})
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        return self.run.apply(params, inputs)

    def recurrent(self, params: Any) -> list[Any]:
        if self.cell == "gru":
            update, reset, candidate = np.split(np.asarray(params["gru"]["w_h"]), 3, axis=1)
            return [reset, -update, candidate]
        if self.cell == "lstm":
            kernel = np.asarray(params["lstm/linear"]["w"])[self.work.features :]
            blocks = np.split(kernel, 4, axis=1)
            return [blocks[0], blocks[2], blocks[1], blocks[3]]
        return [params["vanilla_rnn/linear_1"]["w"]]


class EquinoxPeer(JaxPeer):
    """`jax.lax.scan` over equinox's GRUCell or LSTMCell, vmapped over examples."""

    def layer(self, weights: Weights) -> Any:
        equinox = library("equinox")
        import jax

        makes = {"gru": equinox.nn.GRUCell, "lstm": equinox.nn.LSTMCell}
        if self.cell not in makes:
            raise LeftOutError(f"it has no {self.cell} cell")
        make: Any = makes[self.cell]
        cell = make(self.work.features, self.work.hidden, key=jax.random.key(0))
        rows = lambda kernels: kernels.transpose(0, 2, 1).reshape(-1, kernels.shape[1])
        new = [rows(weights["W"]), rows(weights["U"]), weights["b"].reshape(-1)]
        where = lambda cell: [cell.weight_ih, cell.weight_hh, cell.bias]
        cell = equinox.tree_at(where, cell, new)
        if self.cell == "gru":
            cell = equinox.tree_at(lambda cell: cell.bias_n, cell, 0 * cell.bias_n)
        params, self.rest = equinox.partition(cell, equinox.is_array)
        return params

    def last_state(self, params: Any, inputs: Any) -> Any:
        equinox = library("equinox")
        import jax
        import jax.numpy as jnp

        cell = equinox.combine(params, self.rest)
        zeros = jnp.zeros(self.work.hidden)
        start = (zeros, zeros) if self.cell == "lstm" else zeros

        def run(example: Any) -> Any:
            last, _ = jax.lax.scan(lambda carry, x: (cell(x, carry), None), start, example)
            return last[0] if self.cell == "lstm" else last

        return jax.vmap(run)(inputs)

    def recurrent(self, params: Any) -> list[Any]:
        blocks = np.split(np.asarray(params.weight_hh), len(GATES[self.cell]))
        return [block.T for block in blocks]


class KerasPeer(Contender):
    """Keras 3 on JAX: `compile` and `train_on_batch`."""

    def __init__(self, cell: str, work: Work):
        os.environ["KERAS_BACKEND"] = "jax"
        import jax

        keras = library("keras")

        makes = {
            "gru": keras.layers.GRU,
            "lstm": keras.layers.LSTM,
            "vanilla": keras.layers.SimpleRNN,
        }
        self.inputs, self.targets = work.data()
        weights = work.weights(cell)
        self.model = keras.Sequential(
            [
                keras.layers.Input((work.time, work.features)),
                makes[cell](work.hidden),
                keras.layers.Dense(1),
            ]
        )
        order = np.array([1, 0, 2] if cell == "gru" else range(len(GATES[cell])))  # z, r, h
        into, across, bias = (_beside(weights[name][order]) for name in ("W", "U", "b"))
        biases = np.concatenate([bias, 0 * bias]) if cell == "gru" else bias[0]
        self.model.set_weights([into, across, biases, weights["V"], weights["v"]])
        self.model.compile(optimizer=keras.optimizers.Adam(RATE), loss="mse")

        fixed = [variable.value for variable in self.model.non_trainable_variables]

        def loss(trainable: Any) -> Any:
            outputs, _ = self.model.stateless_call(trainable, fixed, self.inputs)
            return ((outputs - self.targets) ** 2).mean()

        trainable = [variable.value for variable in self.model.trainable_variables]
        value, gradient = jax.value_and_grad(loss)(trainable)
        self.loss = float(value)
        blocks = np.split(np.asarray(gradient[1]), len(GATES[cell]), axis=1)
        self.gradient = np.stack([blocks[place] for place in np.argsort(order)])
        self.train(CHUNK)

    def train(self, steps: int) -> None:
        for _ in range(steps):
            self.model.train_on_batch(self.inputs, self.targets)


class TorchPeer(Contender):
    """`torch.nn.GRU`, `LSTM` or `RNN`: cuDNN's where there is a GPU."""

    def __init__(self, cell: str, work: Work):
        torch = library("torch")

        self.torch = torch
        device = "cuda" if torch.cuda.is_available() else "cpu"
        makes = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "vanilla": torch.nn.RNN}
        weights = work.weights(cell)
        self.inputs, self.targets = (torch.from_numpy(array).to(device) for array in work.data())
        self.layer: Any = makes[cell](work.features, work.hidden, batch_first=True)
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
        blocks = np.split(self.layer.weight_hh_l0.grad.cpu().numpy(), len(GATES[cell]))
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


# Options of ours that make the equations of a peer whose cell is another one.
OTHERWISE: dict[tuple[str, str], dict[str, Any]] = {
    ("haiku", "gru"): {"reset_after": False},
    ("haiku", "vanilla"): {"activation": "relu"},
}
CONTENDERS: dict[str, Callable[[str, Work], Contender]] = {
    "gru_jax": Ours,
    "flax.nnx": NnxPeer,
    "flax.linen": LinenPeer,
    "haiku": HaikuPeer,
    "equinox": EquinoxPeer,
    "keras": KerasPeer,
    "torch": TorchPeer,
    "floor": Floor,
}
# What a peer's release is found under, beside those that `environment` names.
DISTRIBUTIONS = {"haiku": "dm-haiku", "equinox": "equinox", "keras": "keras", "torch": "torch"}
# Ours otherwise, where asked for by name.
OTHER_PATHS: dict[str, dict[str, Any]] = {
    "gru_jax-plain": {"gradient": "plain"},
    "gru_jax-unroll-2": {"gradient": "plain", "unroll": 2},
    "gru_jax-unroll-4": {"gradient": "plain", "unroll": 4},
    "gru_jax-batched": {"gradient": "batched"},
    "gru_jax-recomputed": {"gradient": "recomputed"},
    "gru_jax-1-core": {"cores": 1},
    "gru_jax-8-seeds": {"seeds": 8},
}
VARIANTS: dict[str, Callable[[str, Work], Contender]] = {
    name: functools.partial(Ours, **options) for name, options in OTHER_PATHS.items()
}
