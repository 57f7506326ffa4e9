"""Calls cells, RNN and SequenceModel with nonsense; each call must equal a loop, or be refused.

python -m scripts.endurance.fuzz_calls --cases=5000    writes counts of the outcomes to
                                                       results/fuzz_calls.json
"""

import dataclasses
import functools
import sys
from typing import Any

import jax
import numpy as np
from flax import nnx
from hypothesis import strategies as st

from experiments.system import commandline
from gru_jax import RNN, LSTMCell, SequenceModel, VanillaCell
from scripts.endurance import cases
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "fuzz_calls.json"
FEATURES = 3
SIZES = (4, 2)
TARGETS = ("cell", "RNN", "model", "both ways", "tokens")


@dataclasses.dataclass(frozen=True)
class Case:
    """A call. `changed` names the arguments that are not as documented, or may not be."""

    target: str
    lstm: bool
    arguments: dict[str, Any]
    changed: tuple[str, ...]


def main() -> int:
    return cases.main(__doc__, fuzz, RESULTS, cases=5000)


def fuzz(count: int, seed: int) -> cases.Outcomes:
    """Tries this many calls and counts their outcomes, see `cases.outcomes`."""
    with jax.disable_jit():  # otherwise each shape would be compiled
        return cases.outcomes(CASES, attempt, count, seed)


def attempt(case: Case) -> str:
    """The outcome of a case, which must be one of those that are promised."""
    module = make(case.target, case.lstm)
    complaint, found = None, None
    try:
        found = called(case, module)
    except (ValueError, TypeError) as error:
        complaint = str(error)
    if complaint is not None:
        assert "\n" not in complaint, complaint
        assert case.changed, f"a good call is refused: {complaint}"
        # Inputs of another shape may be those that lengths, resets or the carry do not fit.
        names = arguments_of(case) if "inputs" in case.changed else case.changed
        assert any(complaint.startswith(name) for name in names), (complaint, case)
        return f"{case.target}: refused"
    expected = looped(case, module)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        known = np.where(np.isnan(theirs), np.nan, ours)
        np.testing.assert_allclose(known, theirs, atol=1e-5)
    return f"{case.target}: equal"


@functools.cache
def make(target: str, lstm: bool) -> Any:
    """What is called, with random parameters."""
    kind: Any = LSTMCell if lstm else VanillaCell
    rngs = nnx.Rngs(0)
    if target in ("cell", "RNN"):
        cell = kind(FEATURES, SIZES[0], rngs=rngs)
        module = cell if target == "cell" else RNN(cell, gradient="plain")
    else:
        module = SequenceModel(
            kind,
            FEATURES,
            2,
            hidden_sizes=SIZES,
            readout="every",
            encoder="one_hot" if target == "tokens" else "none",
            bidirectional=target == "both ways",
            gradient="plain",
            rngs=rngs,
        )
    random = np.random.default_rng(0)
    draw = lambda leaf: random.normal(0, 0.5, leaf.shape).astype(np.float32)
    nnx.update(module, jax.tree.map(draw, nnx.state(module, nnx.Param)))
    return module


def arguments_of(case: Case) -> list[str]:
    """The names that a complaint may begin with."""
    return [*case.arguments, "input_shape"]


def called(case: Case, module: Any) -> Any:
    """What the library returns: carry and outputs."""
    if case.target == "cell":
        inputs = case.arguments["inputs"]
        return module(module.initialize_carry(getattr(inputs, "shape", (FEATURES,))), inputs)
    return module(**case.arguments, return_carry=True)


def looped(case: Case, module: Any) -> Any:
    """The same by a loop over examples and steps, in NumPy."""
    given = case.arguments
    inputs = np.asarray(given["inputs"])
    if case.target == "tokens":
        inputs = np.eye(FEATURES)[inputs]
    if case.target == "cell":
        inputs = inputs[..., None, :]
    elif given.get("time_major"):
        inputs = np.moveaxis(inputs, 0, -2)
    *batch, time, _ = inputs.shape
    lengths = given.get("seq_lengths")
    lengths = np.full(batch, time) if lengths is None else np.asarray(lengths)
    resets = given.get("resets")
    if resets is not None and given.get("time_major"):
        resets = np.moveaxis(np.asarray(resets), 0, -1)
    resets = np.zeros((*batch, time), bool) if resets is None else np.asarray(resets)
    assert lengths.shape == tuple(batch), "lengths of another shape are taken"
    assert lengths.dtype.kind in "iu", "lengths of another kind are taken"
    assert resets.shape == (*batch, time), "resets of another shape are taken"
    assert resets.dtype == bool, "resets of another kind are taken"
    carry = given.get("initial_carry")

    def example(index: tuple[int, ...]) -> Any:
        start = jax.tree.map(lambda leaf: np.asarray(leaf)[index], carry)
        return run_example(case, module, inputs[index], int(lengths[index]), resets[index], start)

    examples = [example(index) for index in np.ndindex(*batch)]
    stack = lambda *leaves: np.stack(leaves).reshape(*batch, *leaves[0].shape)
    carry, outputs = jax.tree.map(stack, *examples)
    if case.target == "cell":
        outputs = outputs[..., 0, :]
    return carry, np.moveaxis(outputs, -2, 0) if given.get("time_major") else outputs


def run_example(
    case: Case, module: Any, x: np.ndarray, length: int, resets: np.ndarray, carry: Any
) -> Any:
    """The carry and the outputs (time, ...) of one example; NaN for those without meaning."""
    if case.target in ("cell", "RNN"):
        cell = module if case.target == "cell" else module.cell
        return direction(cell, x, length, resets, carry, case.arguments.get("reverse", False))
    ends = []
    for index, layer in enumerate(module.layers):
        start = None if carry is None else carry[index]
        if layer.backward is None:
            end, x = direction(layer.forward.cell, x, length, resets, start, False)
        else:
            starts = start or (None, None)
            back = np.append(resets[1:], False)
            back[max(length - 1, 0) :] = False
            there = direction(layer.forward.cell, x, length, resets, starts[0], False)
            other = direction(layer.backward.cell, x, length, back, starts[1], True)
            end, x = (there[0], other[0]), np.concatenate([there[1], other[1]], -1)
        ends.append(end)
    weights = np.asarray(module.readout.kernel[...]), np.asarray(module.readout.bias[...])
    outputs = x @ weights[0] + weights[1]
    outputs[length:] = np.nan
    return tuple(ends), outputs


def direction(
    cell: Any, x: np.ndarray, length: int, resets: np.ndarray, carry: Any, reverse: bool
) -> Any:
    """One cell over the steps of one example. `RNN` flips the outputs if reversed."""
    width = cell.hidden_features
    zero: Any = (np.zeros(width),) * len(cell.STATES)
    state = zero if carry is None else carry if isinstance(carry, tuple) else (carry,)
    outputs = np.zeros((len(x), width))
    for t in range(length)[::-1] if reverse else range(length):
        state = step(cell, zero if resets[t] else state, x[t].astype(np.float64))
        outputs[t] = state[-1]
    return state if len(state) > 1 else state[0], outputs


def step(cell: Any, state: Any, x: np.ndarray) -> Any:
    """The equations of a vanilla cell and of an LSTM."""

    def total(gate: Any) -> np.ndarray:
        kernels = np.asarray(gate.kernel[...]), np.asarray(gate.recurrent_kernel[...])
        return x @ kernels[0] + state[-1] @ kernels[1] + np.asarray(gate.bias[...])

    if isinstance(cell, VanillaCell):
        return (np.tanh(total(cell.candidate)),)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    i, f, o = (sigmoid(total(gate)) for gate in (cell.input, cell.forget, cell.output_gate))
    c = f * state[0] + i * np.tanh(total(cell.candidate))
    return c, o * np.tanh(c)


def _array(draw: Any, array: np.ndarray, kinds: str) -> Any:
    """The array in some precision that holds it, or as a list."""
    kind = draw(st.sampled_from([*kinds.split(), "list"]))
    return array.tolist() if kind == "list" else array.astype(kind)


def _bent(draw: Any, value: Any) -> Any:
    """Something else in place of an argument: another shape, kind, number or structure."""
    bends = [
        lambda a: a[..., None],
        lambda a: a[None],
        lambda a: np.stack([a, a]),
        lambda a: a[..., :-1] if a.ndim else a,
        lambda a: a[0] if a.ndim and len(a) else a,
        lambda a: a.T,
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int32),
        lambda a: a.astype(bool),
        lambda a: a.astype(complex),
        lambda a: a + 7,
        lambda a: a - 9,
        lambda _: "word",
        lambda _: 2,
        lambda _: [[1, 2], [3]],
        lambda _: {},
    ]
    bend = draw(st.sampled_from(bends))
    if isinstance(value, tuple):  # a carry
        others = [
            lambda: list(value),
            lambda: value[:-1],
            lambda: (*value, value[-1]),
            lambda: value[0],
            lambda: (*value[:-1], None),
            lambda: jax.tree.map(bend, value),
        ]
        return draw(st.sampled_from(others))()
    return bend(np.asarray(value))


@st.composite
def _cases(draw: Any) -> Case:
    target, lstm = draw(st.sampled_from(TARGETS)), draw(st.booleans())
    batch = draw(st.sampled_from([(), (1,), (2,), (3,), (2, 2)]))
    time = draw(st.integers(1, 4))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    tokens = target == "tokens"
    shape = batch if target == "cell" else (*batch, time)
    arguments: dict[str, Any] = {}
    if tokens:
        # Tokens with a last axis of size 1 behind two others need a carry, see `arguments.tokens`.
        time = max(time, 2)
        shape = (*batch, time)
        whole = random.integers(0, FEATURES, shape)
        arguments["inputs"] = _array(draw, whole, "int32 uint8 int64")
    else:
        numbers = random.normal(size=(*shape, FEATURES)).astype(np.float32)
        kinds = draw(st.sampled_from(["float32 float64", "int8 bool"]))
        signs = np.abs(numbers) > 1
        arguments["inputs"] = _array(draw, signs if kinds == "int8 bool" else numbers, kinds)
    if target == "cell":
        arguments["inputs"] = np.asarray(arguments["inputs"])
    else:
        if draw(st.booleans()):
            lengths = random.integers(0, time + 1, batch)
            arguments["seq_lengths"] = _array(draw, lengths, "int32 uint8 int64")
        if draw(st.booleans()):
            arguments["resets"] = _array(draw, random.random((*batch, time)) < 0.3, "bool")
        if draw(st.booleans()):
            like = make(target, lstm).initialize_carry(batch)
            kind = draw(st.sampled_from([np.float16, np.float32, np.int32]))
            fill = lambda leaf: random.normal(size=leaf.shape).astype(kind)
            arguments["initial_carry"] = jax.tree.map(fill, like)
    changed: tuple[str, ...] = ()
    if draw(st.booleans()):
        name = draw(st.sampled_from(sorted(arguments)))
        arguments[name], changed = _bent(draw, arguments[name]), (name,)
    if target == "RNN" and not changed:
        arguments["reverse"] = arguments["keep_order"] = draw(st.booleans())
        if draw(st.booleans()):
            arguments["time_major"] = True
            arguments["inputs"] = np.moveaxis(np.asarray(arguments["inputs"]), -2, 0)
            if "resets" in arguments:
                arguments["resets"] = np.moveaxis(np.asarray(arguments["resets"]), -1, 0)
    return Case(target, lstm, arguments, changed)


CASES = _cases()


if __name__ == "__main__":
    sys.exit(commandline.guarded(main))
