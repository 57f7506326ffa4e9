"""Keyword arguments that a class does not know are refused, and the nearest name is given."""

import functools

import jax.numpy as jnp
import pytest
from flax import nnx

from gru_jax import CELLS, RNN, Cell, Gate, GRUCell, SequenceModel

pytestmark = pytest.mark.quick


class OwnCell(Cell):
    """A user's cell, which says nothing about options but its own."""

    def __init__(self, in_features, hidden_features, *, leak=0.5, rngs, **options):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.leak = leak


@pytest.mark.parametrize("make", [*CELLS.values(), OwnCell])
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("recurrent_kernel_init", r" \(did you mean 'recurrent_init'\?\)"),
        ("kernal_init", r" \(did you mean 'kernel_init'\?\)"),
        ("bias_init", ""),
        ("dropout", ": it has .*kernel_init, recurrent_init, "),
    ],
)
def test_unknown_options_of_cells(make, name, hint):
    with pytest.raises(TypeError, match=f"^{make.__name__} has no option '{name}'{hint}"):
        make(2, 3, rngs=nnx.Rngs(0), **{name: 0.1})


def test_a_cell_s_own_options_are_near_as_well():
    with pytest.raises(TypeError, match=r"no option 'leek' \(did you mean 'leak'\?\)"):
        OwnCell(2, 3, leek=0.1, rngs=nnx.Rngs(0))
    assert OwnCell(2, 3, leak=0.1, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)).leak == 0.1


def test_unknown_options_of_everything_else():
    cell = GRUCell(2, 3, rngs=nnx.Rngs(0))
    model = functools.partial(SequenceModel, input_size=2, output_size=1, rngs=nnx.Rngs(0))
    for call in (
        lambda: Gate(2, 3, use_bias=False, rngs=nnx.Rngs(0)),
        lambda: RNN(cell, revers=True),
        lambda: RNN(cell)(jnp.ones((1, 2)), lengths=1),
        lambda: model(GRUCell, hidden_sizes=(3,), bidirectonal=True),
        lambda: model(functools.partial(GRUCell, use_bias=False), hidden_sizes=(3,)),
    ):
        with pytest.raises(TypeError, match=r"use_bias|revers|lengths|bidirectonal"):
            call()
