"""Cells beside the numbers of their authors' own code: values, and gradients of everything."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import CELLS, RNN
from tests.helpers import split

pytestmark = pytest.mark.usefixtures("least_effort", "x64")

GOLDEN = Path(__file__).parent.parent / "golden" / "authors.npz"
OPTIONS = {
    "cornn": {"dt": 0.3, "gamma": 2.0, "epsilon": 0.7},
    "lem": {"dt": 0.4},
    "min_gru": {"activation": "positive"},
    "min_lstm": {"activation": "positive"},
}
D, H = 2, 3
MIN_LSTM = ["candidate", "forget", "input"]


def cornn(theirs):
    kernels = theirs["i2h.weight"].T  # of x, z and y, one below the other
    return {
        "position": {
            "kernel": kernels[:D],
            "recurrent_kernel": kernels[D + H :],
            "bias": theirs["i2h.bias"],
        },
        "velocity": {"recurrent_kernel": kernels[D : D + H]},
    }


def lem(theirs, bias=1.0):
    """Theirs has two biases where ours has one; `bias` is 1 for their sum, 0 for the first."""
    along = np.split(theirs["inp2hid.weight"], 4)
    across = np.split(theirs["hid2hid.weight"], 3)
    first = np.split(theirs["inp2hid.bias"], 4)
    second = [*np.split(theirs["hid2hid.bias"], 3), theirs["transform_z.bias"]]
    # Their input's parts are those of d_y, d_z, y and z, and their state's of d_y, d_z and z.
    places = {
        "output_step": (0, across[0], second[0]),
        "memory_step": (1, across[1], second[1]),
        "memory": (3, across[2], second[2]),
        "candidate": (2, theirs["transform_z.weight"], second[3]),
    }
    return {
        name: {
            "kernel": along[part].T,
            "recurrent_kernel": kernel.T,
            "bias": first[part] + bias * other,
        }
        for name, (part, kernel, other) in places.items()
    }


def minimal(theirs, names):
    kernels = np.split(theirs["to_hidden_and_gate.weight"], len(names))
    biases = np.split(theirs["to_hidden_and_gate.bias"], len(names))
    return {
        name: {"kernel": kernel.T, "bias": bias}
        for name, kernel, bias in zip(names, kernels, biases, strict=True)
    }


def ours(name, theirs, gradients=False):
    """Their arrays under our names."""
    if name == "cornn":
        return cornn(theirs)
    if name == "lem":
        return lem(theirs, 0.0 if gradients else 1.0)
    return minimal(theirs, {"min_gru": ["candidate", "update"]}.get(name, MIN_LSTM))


@pytest.mark.parametrize("name", OPTIONS)
def test_values_and_gradients_are_those_of_the_authors_code(name):
    golden = np.load(GOLDEN)
    theirs = {
        key.removeprefix(f"{name}/"): golden[key] for key in golden.files if key.startswith(name)
    }
    slopes = {
        key.removeprefix("gradients/"): value
        for key, value in theirs.items()
        if key.startswith("gradients/")
    }
    cell = CELLS[name](D, H, param_dtype=jnp.float64, rngs=nnx.Rngs(0), **OPTIONS[name])
    run, params = split(RNN(cell))
    weights = ours(name, theirs)
    jax.tree.map(
        np.testing.assert_equal,
        *(jax.tree.map(np.shape, tree) for tree in (nnx.to_pure_dict(params)["cell"], weights)),
    )
    nnx.replace_by_pure_dict(params, {"cell": jax.tree.map(jnp.asarray, weights)})
    places = sorted(key for key in theirs if key.startswith("state"))[::-1]  # the output last
    states = [jnp.asarray(theirs[key]) for key in places]

    def loss(params, x, states):
        outputs = run(params, x, initial_carry=tuple(states) if len(states) > 1 else states[0])
        return jnp.sum(jnp.sin(outputs)), outputs

    found = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(
        params, jnp.asarray(theirs["x"]), states
    )
    (_, outputs), (for_params, for_x, for_states) = found
    close = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    close(outputs, theirs["outputs"])
    jax.tree.map(close, nnx.to_pure_dict(for_params)["cell"], ours(name, slopes, gradients=True))
    close(for_x, slopes["x"])
    jax.tree.map(close, for_states, [slopes[key] for key in places])
