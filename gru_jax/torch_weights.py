"""Weights to and from PyTorch's `nn.GRU`, `nn.LSTM` and `nn.RNN`, without importing torch.

PyTorch concatenates the kernels of all gates to one matrix (gates * H, D), in the order r, z, n
(LSTM: i, f, g, o). Every gate has two biases, b_i beside x W and b_h beside h U. Only a GRU's
candidate needs both, since the reset gate multiplies the second. For all other gates, `from_torch`
adds them up, and `to_torch` sets the second one to zero.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from gru_jax.cells import Cell
from gru_jax.cells.base import Gate
from gru_jax.model import SequenceModel
from gru_jax.recurrence import RNN

StateDict = dict[str, np.ndarray]


def to_torch(module: Cell | RNN | SequenceModel) -> StateDict:
    """The state dict of the `nn.GRU`, `nn.LSTM` or `nn.RNN` that computes the same.

    Args:
      module: a cell or an `RNN`, for one layer; or a model, for its recurrent layers without
        encoder and readout.

    Returns:
      NumPy arrays under PyTorch's names. To load them:
      `layer.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})`.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cell.
    """
    state = {}
    for suffix, cell in _cells(module):
        gates, recurrent_bias = _torch_gates(cell)
        biases = [np.asarray(_bias(gate)[...]) for gate in gates]
        seconds = [np.zeros_like(bias) for bias in biases]
        if recurrent_bias is not None:
            seconds[-1] = np.asarray(recurrent_bias[...])
        state[f"weight_ih{suffix}"] = np.concatenate([np.asarray(g.kernel[...]).T for g in gates])
        state[f"weight_hh{suffix}"] = np.concatenate(
            [np.asarray(g.recurrent_kernel[...]).T for g in gates]
        )
        state[f"bias_ih{suffix}"] = np.concatenate(biases)
        state[f"bias_hh{suffix}"] = np.concatenate(seconds)
    return state


def from_torch(module: Cell | RNN | SequenceModel, state_dict: Mapping[str, Any]) -> None:
    """Fills `module` with the weights of a PyTorch layer's state dict, in place.

    Args:
      module: as for `to_torch`, with the sizes of the PyTorch layer.
      state_dict: arrays, or tensors on the CPU, under PyTorch's names. If it has no biases
        (`bias=False`), they become zero.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cell, or the name or the
        shape of an array differs.
    """
    arrays = {name: np.asarray(value) for name, value in state_dict.items()}
    expected = {name: array.shape for name, array in to_torch(module).items()}
    given = {name: array.shape for name, array in arrays.items()}
    if not any(name.startswith("bias") for name in arrays):
        expected = {name: shape for name, shape in expected.items() if name.startswith("weight")}
    if given != expected:
        names = sorted(n for n in given.keys() | expected.keys() if given.get(n) != expected.get(n))
        name = names[0]
        raise ValueError(f"{name} has shape {given.get(name)}: must be {expected.get(name)}")
    for suffix, cell in _cells(module):
        gates, recurrent_bias = _torch_gates(cell)
        zeros = np.zeros(len(gates) * cell.hidden_features)
        blocks = {
            name: np.split(arrays.get(name + suffix, zeros), len(gates))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        first, second = blocks["bias_ih"], blocks["bias_hh"]
        if recurrent_bias is not None:
            _set(recurrent_bias, second[-1])
            second[-1] = np.zeros_like(second[-1])
        for index, gate in enumerate(gates):
            _set(gate.kernel, blocks["weight_ih"][index].T)
            _set(gate.recurrent_kernel, blocks["weight_hh"][index].T)
            _set(_bias(gate), first[index] + second[index])


def _cells(module: Cell | RNN | SequenceModel) -> Iterator[tuple[str, Cell]]:
    """The cells, and the suffix that each one's arrays have in PyTorch."""
    if isinstance(module, SequenceModel):
        for index, layer in enumerate(module.layers):
            yield f"_l{index}", layer.forward.cell
            if layer.backward is not None:
                yield f"_l{index}_reverse", layer.backward.cell
    else:
        yield "_l0", module.cell if isinstance(module, RNN) else module


def _torch_gates(cell: Cell) -> tuple[list[Gate], nnx.Param | None]:
    """The gates in PyTorch's order, and the second bias of the last one, see `Cell.torch_gates`."""
    known = cell.torch_gates() if isinstance(cell, Cell) else None
    gates, recurrent_bias = known or ([], None)
    learned = [gate for gate in gates if isinstance(gate, Gate) and gate.bias is not None]
    if not gates or len(learned) < len(gates) or cell.initial_state is not None:
        raise ValueError(
            f"PyTorch has no layer that computes this {type(cell).__name__}: the cell must have "
            "learned gates with biases, the usual activations and no learned initial state; "
            'a GRU also needs reset_after=True and update_gate="keep"'
        )
    return learned, recurrent_bias


def _bias(gate: Gate) -> nnx.Param:
    assert gate.bias is not None
    return gate.bias


def _set(parameter: nnx.Param, value: np.ndarray) -> None:
    parameter[...] = jnp.asarray(value, parameter[...].dtype)
