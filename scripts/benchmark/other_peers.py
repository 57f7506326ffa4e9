"""The training step in Keras and PyTorch, written as their documentation shows it."""

import os
from typing import Any, ClassVar

import numpy as np

from gru_jax import CELLS, GRUCell, LSTMCell, VanillaCell
from scripts.benchmark.contenders import CHUNK, RATE, LeftOutError, Work, gates
from scripts.benchmark.peers import Cells, Peer, beside, library


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
        into, across, bias = (beside(weights[part][list(order)]) for part in ("W", "U", "b"))
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
    """`torch.nn.GRU`, `LSTM` or `RNN`: cuDNN's where there is a GPU.

    flush: take numbers too small for the usual form for 0, as XLA does. Gradients that vanish over
      hundreds of steps become such numbers, with which processors are slow.
    """

    cells: ClassVar[Cells] = {GRUCell: "GRU", LSTMCell: "LSTM", VanillaCell: "RNN"}
    distribution = "torch"

    def __init__(self, cell: str, work: Work, *, flush: bool = False):
        torch = library("torch")

        self.torch = torch
        if flush and not torch.set_flush_denormal(True):
            raise LeftOutError("this processor cannot flush such numbers")
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
