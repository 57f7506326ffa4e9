"""What several tests do: randomise every parameter, name a cell's weights, compare gradients."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from gru_jax import CELLS

# The cells on which all that does not depend on a cell is tried at length.
CLASSIC = {name: CELLS[name] for name in ("gru", "lstm", "vanilla")}
LETTERS = {
    "reset": "r",
    "update": "z",
    "candidate": "n",
    "input": "i",
    "forget": "f",
    "output_gate": "o",
}


def randomise(module, seed=0, scale=0.5):
    """Gives every parameter, biases included, random non-zero values; returns the module."""
    state = nnx.state(module, nnx.Param)
    leaves, structure = jax.tree.flatten(state)
    generator = np.random.default_rng(seed)
    values = [jnp.asarray(generator.normal(0, scale, leaf.shape), leaf.dtype) for leaf in leaves]
    nnx.update(module, jax.tree.unflatten(structure, values))
    return module


def split(module):
    """The module as a pure function of (parameters, ...), and its parameters."""
    graph, params = nnx.split(module)
    return (lambda params, *args, **kwargs: nnx.merge(graph, params)(*args, **kwargs)), params


def weights(cell, names=LETTERS):
    """A cell's parameters as NumPy arrays under the names that the equations use."""
    found = {}
    for attribute, letter in names.items():
        gate = getattr(cell, attribute, None)
        if gate is None:
            continue
        for part, name in (("kernel", "W_"), ("recurrent_kernel", "U_"), ("bias", "b_")):
            value = getattr(gate, part, None)
            if value is not None:
                found[name + letter] = np.asarray(value[...])
            elif hasattr(gate, part):
                found[name + letter] = np.zeros(cell.hidden_features)
    recurrent = getattr(cell, "recurrent_bias", None)
    found["c_n"] = 0.0 if recurrent is None else np.asarray(recurrent[...])
    return found


def agree(actual, expected, tolerance):
    """Every leaf within `tolerance`, and none of them trivially zero."""
    for a, e in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(np.asarray(a), np.asarray(e), rtol=tolerance, atol=tolerance)
        assert np.abs(np.asarray(e)).max() > 0


def equations(program, names):
    """All equations of a jaxpr, however deep, that call one of these primitives."""
    for equation in program.eqns:
        if equation.primitive.name in names:
            yield equation
        for parameter in jax.tree.leaves(equation.params):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from equations(inner, names)
