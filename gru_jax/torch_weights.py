"""Weights to and from PyTorch's `nn.GRU`, `nn.LSTM` and `nn.RNN`, without importing torch.

PyTorch concatenates the kernels of all gates to one matrix (gates * H, D), in the order r, z, n
(LSTM: i, f, g, o). Every gate has two biases, b_i beside x W and b_h beside h U. Only a GRU's
candidate needs both, since the reset gate multiplies the second. For all other gates, `from_torch`
adds them up, and `to_torch` sets the second one to zero.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gru_jax.cells import Cell, VanillaCell
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
      NumPy arrays under PyTorch's names, without biases (`bias=False`) if the cells have none. To
      load them:
      `layer.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})`.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cell, or as all cells together.
    """
    state = {}
    for suffix, cell in _cells(module):
        gates, recurrent_bias = _torch_gates(cell)
        state[f"weight_ih{suffix}"] = np.concatenate([np.asarray(g.kernel[...]).T for g in gates])
        state[f"weight_hh{suffix}"] = np.concatenate(
            [np.asarray(g.recurrent_kernel[...]).T for g in gates]
        )
        biases = [np.asarray(gate.bias[...]) for gate in gates if gate.bias is not None]
        if biases:
            seconds = [np.zeros_like(bias) for bias in biases]
            if recurrent_bias is not None:
                seconds[-1] = np.asarray(recurrent_bias[...])
            state[f"bias_ih{suffix}"] = np.concatenate(biases)
            state[f"bias_hh{suffix}"] = np.concatenate(seconds)
    return state


def from_torch(module: Cell | RNN | SequenceModel, source: Any) -> None:
    """Fills `module` with the weights of a PyTorch layer, in place.

    Args:
      module: as for `to_torch`, with the sizes of the PyTorch layer.
      source: the layer, on the CPU; or its state dict, with tensors or other arrays under
        PyTorch's names. Only the layer says whether an `nn.RNN` is one of tanh or ReLU. If there
        are no biases (`bias=False`), those of the module become zero.

    Raises:
      ValueError: PyTorch has no layer that computes the same as the cells, the layer has another
        nonlinearity, or the name or the shape of an array differs.
    """
    expected = {name: array.shape for name, array in to_torch(module).items()}
    nonlinearity = getattr(source, "nonlinearity", None)
    for _, cell in _cells(module):
        if isinstance(cell, VanillaCell) and nonlinearity not in (None, _nonlinearity(cell)):
            raise ValueError(
                f"the layer's nonlinearity is {nonlinearity}: must be {_nonlinearity(cell)}, "
                "that of the cell"
            )
    state_dict = source if isinstance(source, Mapping) else source.state_dict()
    arrays = {name: np.asarray(value) for name, value in state_dict.items()}
    if not any(name.startswith("bias") for name in arrays):
        expected = {name: shape for name, shape in expected.items() if name.startswith("weight")}
    _check_names(set(arrays), set(expected))
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has shape {arrays[name].shape}: must be {shape}")
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
            if gate.bias is not None:
                _set(gate.bias, first[index] + second[index])


def _check_names(given: set[str], expected: set[str]) -> None:
    missing, strange = sorted(expected - given), sorted(given - expected)
    if missing or strange:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has {', '.join(strange)}, which the module lacks"] if strange else []
        raise ValueError("the state dict " + " and ".join(parts))


def _cells(module: Cell | RNN | SequenceModel) -> list[tuple[str, Cell]]:
    """The cells, each behind the suffix that its arrays have in PyTorch.

    Raises:
      ValueError: PyTorch has no layer in which these cells are together.
    """
    if not isinstance(module, SequenceModel):
        return [("_l0", module.cell if isinstance(module, RNN) else module)]
    cells = []
    for index, layer in enumerate(module.layers):
        cells.append((f"_l{index}", layer.forward.cell))
        if layer.backward is not None:
            cells.append((f"_l{index}_reverse", layer.backward.cell))
    kinds = {
        (type(cell), cell.hidden_features, getattr(cell, "activation", None)) for _, cell in cells
    }
    if len(kinds) > 1:
        raise ValueError(
            "PyTorch has no layer that computes this model: all of its cells must be of one kind, "
            "activation and width"
        )
    return cells


def _torch_gates(cell: Cell) -> tuple[list[Gate], nnx.Param | None]:
    """The gates in PyTorch's order, and the second bias of the last one, see `Cell.torch_gates`."""
    known = cell.torch_gates() if isinstance(cell, Cell) else None
    gates, recurrent_bias = known or ([], None)
    learned = [gate for gate in gates if isinstance(gate, Gate)]
    biased = {gate.bias is not None for gate in learned}
    if not gates or len(learned) < len(gates) or len(biased) > 1 or cell.initial_state is not None:
        raise ValueError(
            f"PyTorch has no layer that computes this {type(cell).__name__}: the cell must have "
            "learned gates with all biases or none, the usual activations and no learned initial "
            'state; a GRU also needs reset_after=True and update_gate="keep"'
        )
    shape = learned[0].kernel[...].shape
    if len(shape) != 2:
        raise ValueError(f"the kernels have shape {shape}: must be those of one model, not several")
    return learned, recurrent_bias


def _nonlinearity(cell: VanillaCell) -> str:
    """What PyTorch calls the activation of a cell that has passed `_torch_gates`."""
    return "relu" if cell.activation is jax.nn.relu else "tanh"


def _set(parameter: nnx.Param, value: np.ndarray) -> None:
    parameter[...] = jnp.asarray(value, parameter[...].dtype)
