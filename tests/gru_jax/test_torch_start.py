"""PyTorch's start: every parameter against the distribution that PyTorch draws it from."""

import functools

import jax
import numpy as np
import pytest
from flax import nnx
from scipy import stats

from gru_jax import CELLS as EVERY
from gru_jax import GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.interop import from_torch, torch_start

pytestmark = pytest.mark.usefixtures("least_effort")
UNITS = 48
CELLS = {"gru": GRUCell, "lstm": LSTMCell, "vanilla": VanillaCell}
CELL = pytest.mark.parametrize("cell", CELLS)


def model_of(cell):
    return SequenceModel(cell, 5, 7, hidden_sizes=(UNITS,), rngs=nnx.Rngs(0))


def drawn(model):
    """Its parameters by their paths, each as one row, from sixty draws of the start."""
    graph, _ = nnx.split(model_of(model))

    @jax.jit
    def one(key):
        again = nnx.merge(graph, nnx.state(model_of(model)))
        torch_start(again, rngs=nnx.Rngs(key))
        return nnx.state(again)

    keys = jax.random.split(jax.random.key(1), 60)
    every = [one(key) for key in keys]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree.leaves_with_path(every[0])]
    rows = zip(*map(jax.tree.leaves, every), strict=True)
    return {path: np.ravel(row) for path, row in zip(paths, rows, strict=True)}


@CELL
def test_parameters_are_uniform_and_two_biases_a_sum(cell):
    bound = 1 / np.sqrt(UNITS)
    uniform = stats.uniform(-bound, 2 * bound)
    both = stats.triang(0.5, -2 * bound, 4 * bound)
    found = drawn(CELLS[cell])
    sums = [path for path, values in found.items() if np.abs(values).max() > bound]
    for path, values in found.items():
        assert stats.kstest(values, (both if path in sums else uniform).cdf).pvalue > 1e-4, path
    gates = {"gru": 2, "lstm": 4, "vanilla": 1}[cell]
    assert len(sums) == gates
    assert all("bias" in path for path in sums)


@CELL
def test_it_is_what_a_layer_of_torch_starts_with(cell, torch):
    layer = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "vanilla": torch.nn.RNN}[cell]
    torch.manual_seed(0)
    ours = drawn(CELLS[cell])
    theirs = {}
    for _ in range(60):
        model = model_of(CELLS[cell])
        from_torch(model, layer(5, UNITS))
        linear = torch.nn.Linear(UNITS, 7)
        model.readout.kernel[...] = linear.weight.detach().numpy().T
        model.readout.bias[...] = linear.bias.detach().numpy()
        for path, leaf in jax.tree.leaves_with_path(nnx.state(model)):
            theirs.setdefault(jax.tree_util.keystr(path), []).append(np.ravel(leaf))
    assert ours.keys() == theirs.keys()
    for path, values in ours.items():
        assert stats.ks_2samp(values, np.concatenate(theirs[path])).pvalue > 1e-4, path


def test_a_readout_is_bound_by_the_number_of_its_inputs():
    model = SequenceModel(
        functools.partial(GRUCell),
        5,
        7,
        hidden_sizes=(4,),
        readout="flatten",
        length=25,
        rngs=nnx.Rngs(0),
    )
    torch_start(model, rngs=nnx.Rngs(1))
    assert 0.09 < np.abs(model.readout.kernel[...]).max() <= 0.1


def test_a_cell_that_torch_lacks_is_left_as_it_is():
    model = model_of(EVERY["lem"])
    before = jax.tree.leaves(nnx.state(model))
    with pytest.raises(ValueError, match="PyTorch has no layer that computes this"):
        torch_start(model, rngs=nnx.Rngs(1))
    for one, other in zip(before, jax.tree.leaves(nnx.state(model)), strict=True):
        np.testing.assert_array_equal(one, other)
