"""Where libraries store the parameters of a cell, and how they get there and back.

Whatever the library, an array of weights holds one part (a kernel or a bias) of one or more gates
side by side. A `Layout` says which array holds which, and that is all that differs.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from gru_jax.cells.forms import EQUATIONS, Form

Arrays = dict[str, np.ndarray]
Place = tuple[str, tuple[str, ...]]  # a part and its gates, see `Layout`

BIASES = ("bias", "second_bias", "biases")


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a library stores the parameters of one cell.

    Attributes:
      library: its name, for messages.
      arrays: of every array, by its name in the library and in messages, the part that it holds
        ("kernel", "recurrent_kernel", "bias", "second_bias", or "biases", both of these as two
        rows) and the gates whose parts stand side by side in its last axis. A second bias is added
        to h U. Only the candidate of a "gru" has one of its own, c_n; for other gates it is added
        to the first, and is written as zero.
      transposed: matrices are stored as (outputs, inputs).
      bias_is_optional: the library has layers without any bias.
    """

    library: str
    arrays: dict[str, Place]
    transposed: bool = False
    bias_is_optional: bool = True

    def biases(self, form: Form) -> set[str]:
        """The biases of our cell that these arrays fill, as its option `bias` calls them."""
        parts = {(part, gate) for part, gates in self.arrays.values() for gate in gates}
        own = {gate for part, gate in parts if part in ("bias", "biases")}
        seconds = {("second_bias", "candidate"), ("biases", "candidate")}
        second = form.equations == "gru" and parts & seconds
        return own | {"recurrent"} if second else own


@dataclasses.dataclass
class Pair:
    """A cell, and how a library stores it.

    Attributes:
      form: the cell, see `form_of`.
      layout: how the library stores it.
    """

    form: Form
    layout: Layout

    def arrays(self) -> Arrays:
        """The arrays that the library needs to compute what the cell computes.

        Raises:
          ValueError: the cell has other biases than the library's.
        """
        mine, theirs = self.form.biases, self.layout.biases(self.form)
        if mine != theirs and (mine or not self.layout.bias_is_optional):
            allowed = _listed(theirs) + (" or none" if self.layout.bias_is_optional else "")
            raise ValueError(
                f"{self.layout.library} has no layer that computes this cell: its biases are "
                f"{_listed(mine)}, and must be {allowed} in {EQUATIONS[self.form.equations]}"
            )
        return {
            name: self._turned(np.concatenate([self._part(part, g) for g in gates], axis=-1))
            for name, (part, gates) in self.layout.arrays.items()
            if mine or part not in BIASES
        }

    def expected(self, arrays: Arrays) -> dict[str, tuple[int, ...]]:
        """The shapes that these arrays must have, by their names.

        Raises:
          ValueError: they have biases, but the cell does not.
        """
        inputs, units = self.form.sizes
        rows = {"kernel": (inputs,), "recurrent_kernel": (units,), "biases": (2,)}
        biased = any(
            name in arrays and part in BIASES for name, (part, _) in self.layout.arrays.items()
        )
        if biased and (lacking := self.layout.biases(self.form) - self.form.biases):
            raise ValueError(f"the weights have biases that the cell lacks: {_listed(lacking)}")
        shapes = {
            name: (*rows.get(part, ()), len(gates) * units)
            for name, (part, gates) in self.layout.arrays.items()
            if biased or part not in BIASES
        }
        return {n: s[::-1] if self.layout.transposed else s for n, s in shapes.items()}

    def fill(self, arrays: Arrays) -> None:
        """Sets the parameters of the cell; biases that are not in `arrays` become zero."""
        found: dict[tuple[str, str], np.ndarray] = {}
        for name, (part, gates) in self.layout.arrays.items():
            if name in arrays:
                blocks = np.split(self._turned(arrays[name]), len(gates), axis=-1)
                found |= {(part, gate): block for gate, block in zip(gates, blocks, strict=True)}
        for gate in self.form.gates:
            if ("biases", gate) in found:
                found["bias", gate], found["second_bias", gate] = found["biases", gate]
        second = found.pop(("second_bias", "candidate"), 0) if self._is_gru else 0
        if self.form.recurrent_bias is not None:
            _set(self.form.recurrent_bias, second)
        for name, own in self.form.gates.items():
            _set(own.kernel, found["kernel", name])
            _set(own.recurrent_kernel, found["recurrent_kernel", name])
            if own.bias is not None:
                _set(own.bias, found.get(("bias", name), 0) + found.get(("second_bias", name), 0))

    @property
    def _is_gru(self) -> bool:
        return self.form.equations == "gru"

    def _part(self, part: str, gate: str) -> np.ndarray:
        if part == "biases":
            return np.stack([self._part("bias", gate), self._part("second_bias", gate)])
        if part != "second_bias":
            return np.asarray(getattr(self.form.gates[gate], part)[...])
        if self._is_gru and gate == "candidate":
            return np.asarray(self.form.recurrent_bias[...])
        return np.zeros_like(self._part("bias", gate))

    def _turned(self, array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.T) if self.layout.transposed else array


def pack(pairs: Iterable[Pair]) -> Arrays:
    """The arrays of all cells.

    Raises:
      ValueError: see `Pair.arrays`.
    """
    return {name: array for pair in pairs for name, array in pair.arrays().items()}


def fill(pairs: Sequence[Pair], arrays: Arrays) -> None:
    """Fills all cells, or none of them.

    Raises:
      ValueError: an array lacks or is not needed, has another shape than the cell needs, or is a
        bias that the cell lacks.
    """
    expected: dict[str, tuple[Pair, tuple[int, ...]]] = {}
    for pair in pairs:
        expected |= {name: (pair, shape) for name, shape in pair.expected(arrays).items()}
    missing, strange = sorted(set(expected) - set(arrays)), sorted(set(arrays) - set(expected))
    if missing or strange:
        parts = [f"lack {', '.join(missing)}"] if missing else []
        parts += [f"have {', '.join(strange)}, which the module lacks"] if strange else []
        raise ValueError(f"the weights {' and '.join(parts)}")
    for name, (pair, shape) in expected.items():
        if arrays[name].shape != shape:
            inputs, units = pair.form.sizes
            raise ValueError(
                f"{name} has shape {arrays[name].shape}: must be {shape}, that of "
                f"{EQUATIONS[pair.form.equations]} with {counted(inputs, 'input')} and "
                f"{counted(units, 'unit')}"
            )
    for pair in pairs:
        pair.fill(arrays)


def known_to_numpy(array: np.ndarray) -> np.ndarray:
    """The array itself; bfloat16, which is no type of NumPy, as float32, which holds all of it."""
    return array.astype(np.float32) if array.dtype == jnp.bfloat16 else array


def counted(number: int, noun: str) -> str:
    """1 layer, 2 layers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _set(parameter: Any, value: Any) -> None:
    parameter[...] = jnp.broadcast_to(jnp.asarray(value, parameter.dtype), parameter.shape)
