"""Any recurrent model as a map of one flat state vector: h_t = f(h_{t-1}, x_t)."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.flatten_util import ravel_pytree

from gru_jax import fields
from gru_jax.axes import FlatState, Inputs, Outputs, States
from gru_jax.model import SequenceModel


@dataclasses.dataclass(frozen=True, eq=False)
class Dynamics:
    """A model as a map of one flat state vector, (S,), which holds everything it remembers.

        h_t = step(params, h_{t-1}, x_t)

    The vector concatenates all state arrays of all layers; an LSTM's are c and h.

    step: one step of one example.
    params: the parameters, as `step` takes them.
    start: h_0.
    read: the model's outputs, given h_1..h_T; those of a single cell are (time, hidden).
    units: for each layer, the place of its units in the vector: a GRU's h, an LSTM's c.
    """

    step: Callable[[Any, FlatState, Any], FlatState]
    params: Any
    start: FlatState
    read: Callable[[States], Outputs]
    units: tuple[slice, ...]

    def states(self, inputs: Inputs) -> States:
        """The states h_0..h_T of one example, (time + 1, S)."""

        def advance(state, x):
            state = self.step(self.params, state, x)
            return state, state

        _, states = jax.lax.scan(advance, self.start, inputs)
        return jnp.concatenate([self.start[None], states])


def check_one_direction(model: SequenceModel) -> None:
    """Raises FieldError for a bidirectional model, which has no state at a time."""
    if any(layer.backward is not None for layer in model.layers):
        raise fields.FieldError(
            "bidirectional", True, "False: a lag is defined for one direction only"
        )


def dynamics(model: SequenceModel | nnx.RNNCellBase, inputs: Inputs) -> Dynamics:
    """The dynamics of a `SequenceModel`, a `Cell`, or any other cell of `flax.nnx`.

    Args:
      model: the model.
      inputs: one example, (time, features) numbers or (time,) tokens; only its shape is used.

    Raises:
      FieldError: the model is bidirectional, so it has no state at a time.
    """
    graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]
    merge = lambda params: nnx.merge(graph, params, rest)
    if isinstance(model, SequenceModel):
        check_one_direction(model)
        carry = model.initialize_carry(())
        advance = lambda model, carry, x: model.recur(x[None], carry, return_activations=False)[0]
    else:
        carry = model.initialize_carry(inputs.shape[1:], nnx.Rngs(0))
        advance = lambda cell, carry, x: cell(carry, x)[0]
    start, unravel = ravel_pytree(carry)

    def step(params, state, x):
        return ravel_pytree(advance(merge(params), unravel(state), x))[0]

    def read(states):
        carries = jax.vmap(unravel)(states)
        if not isinstance(model, SequenceModel):
            return carries[-1] if isinstance(carries, tuple) else carries
        outputs = model.layers[-1].output(carries[-1])
        return model.read(outputs[-1], outputs)

    offset, units = 0, []
    for layer in carry if isinstance(model, SequenceModel) else (carry,):
        sizes = [leaf.size for leaf in jax.tree.leaves(layer)]
        units.append(slice(offset, offset + sizes[0]))
        offset += sum(sizes)
    return Dynamics(step, params, start, read, tuple(units))
