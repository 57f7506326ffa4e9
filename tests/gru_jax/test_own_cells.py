"""Cells that override `__call__`, that change variables, whose output is not their state."""

import inspect
import re
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.nn.initializers import constant

from gru_jax import RNN, Cell, Gate, GRUCell, LSTMCell, SequenceModel
from gru_jax.cells import MinGRUCell
from tests.helpers import agree, randomise, split

pytestmark = pytest.mark.usefixtures("least_effort")

BATCH, TIME, D, H = 3, 5, 2, 4
X = jnp.asarray(np.random.default_rng(0).normal(size=(BATCH, TIME, D)), jnp.float32)
LENGTHS = jnp.array([5, 2, 0])


class DropoutCell(GRUCell):
    """Dropout of the state, as users of Flax add it."""

    def __init__(self, in_features, hidden_features, *, rate=0.5, rngs, **options):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, carry, inputs):
        return super().__call__(self.dropout(carry), inputs)


class ScaledCell(LSTMCell):
    """The output is twice the state."""

    def __call__(self, carry, inputs):
        carry, output = super().__call__(carry, inputs)
        return carry, 2 * output


class ForeignCell(nnx.RNNCellBase):
    """A cell of Flax behind dropout of the inputs, whose output is the sum of state and input."""

    num_feature_axes = 1

    def __init__(self, in_features, hidden_features, *, rngs):
        self.in_features = in_features
        self.cell = nnx.SimpleCell(in_features, hidden_features, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, carry, inputs):
        carry, output = self.cell(carry, self.dropout(inputs))
        return carry, output + inputs.sum(-1, keepdims=True)

    def initialize_carry(self, input_shape, rngs=None, carry_init=None):
        return self.cell.initialize_carry(input_shape, rngs, carry_init)


def test_the_gate_of_the_contracts_example_keeps_where_it_is_1():
    contract = inspect.cleandoc(Cell.__doc__)
    (code,) = re.findall(r"^    def step.*?(?=\n\n)", contract, re.MULTILINE | re.DOTALL)
    names = {"jax": jax, "jnp": jnp}
    exec(textwrap.dedent(code), names)

    class ExampleCell(Cell):
        KEEPING_GATE = "forget"
        step = names["step"]

        def __init__(self, *sizes, rngs):
            super().__init__(*sizes, rngs=rngs)
            self.forget = Gate(*sizes, bias_init=constant(99.0), rngs=rngs)
            self.candidate = Gate(*sizes, rngs=rngs)

    cell = ExampleCell(H, H, rngs=nnx.Rngs(0))
    after, gates = cell.step(jnp.ones(H), jnp.zeros(H))
    assert (after == 1).all()
    assert (cell.kept(gates) == 1).all()


def stepwise(cell, x):
    carry, outputs = cell.initialize_carry(x.shape[::2], nnx.Rngs(0)), []
    for t in range(TIME):
        carry, output = cell(carry, x[:, t])
        outputs.append(output)
    return carry, jnp.stack(outputs, 1)


@pytest.mark.parametrize("make", [DropoutCell, ScaledCell, ForeignCell])
def test_what_call_does_is_done_at_every_step(make):
    cell = randomise(make(D, H, rngs=nnx.Rngs(0)))
    graph, state = nnx.split(cell)
    for gradient in ("auto", "plain"):
        alone, scanned = (nnx.merge(graph, state, copy=True) for _ in range(2))
        expected = stepwise(alone, X)
        rnn = RNN(scanned, return_carry=True, gradient=gradient)
        agree(nnx.jit(lambda rnn: rnn(X))(rnn), expected, 1e-6)
        # Random streams have gone on, so that the next sequence has other masks.
        counts = [nnx.state(cell, nnx.RngCount) for cell in (scanned, alone)]
        jax.tree.map(np.testing.assert_array_equal, *counts)
        agree(rnn(X), stepwise(alone, X), 1e-6)


@pytest.mark.parametrize("make", [ScaledCell, ForeignCell])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_last_output_is_that_of_call(make, bidirectional):
    options = {"hidden_sizes": (H,), "bidirectional": bidirectional, "rngs": nnx.Rngs(0)}
    model = randomise(SequenceModel(make, D, 2, **options))
    model.eval()  # without dropout
    (layer,) = model.layers
    every = layer.forward(X, seq_lengths=LENGTHS)
    ends = [jnp.stack([every[0, 4], every[1, 1], jnp.zeros(H)])]
    if bidirectional:
        back = layer.backward(X, seq_lengths=LENGTHS, reverse=True, keep_order=True)
        ends.append(back[:, 0])
    agree(model(X, seq_lengths=LENGTHS), model.readout(jnp.concatenate(ends, -1)), 1e-6)
    agree(model(X)[0], model(X, seq_lengths=LENGTHS)[0], 1e-6)


def test_activations_of_another_call_are_refused():
    for make in (DropoutCell, ScaledCell):
        with pytest.raises(ValueError, match=f"^{make.__name__} overrides __call__, so the activ"):
            RNN(make(D, H, rngs=nnx.Rngs(0)))(X, return_activations=True)


def test_what_is_no_cell_is_refused():
    for other in (nnx.Linear(D, H, rngs=nnx.Rngs(0)), GRUCell, None):
        with pytest.raises(
            TypeError, match=r"cell is of type .*: must be a Cell or another nnx.RNN"
        ):
            RNN(other)
    nameless = RNN(ForeignCell(D, H, rngs=nnx.Rngs(0)))
    del nameless.cell.in_features
    assert nameless(X).shape == (BATCH, TIME, H)
    with pytest.raises(TypeError, match="ForeignCell has no in_features"):
        nameless.initialize_carry((BATCH,))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("make", [LSTMCell, nnx.GRUCell])
def test_every_carry(make, reverse):
    rnn = RNN(randomise(make(D, H, rngs=nnx.Rngs(0))), reverse=reverse, keep_order=True)
    carries, outputs = rnn(X, seq_lengths=LENGTHS, return_carry="all")
    np.testing.assert_array_equal(jax.tree.leaves(carries)[-1], outputs)
    end, _ = rnn(X, seq_lengths=LENGTHS, return_carry=True)
    for leaf, last in zip(jax.tree.leaves(carries), jax.tree.leaves(end), strict=True):
        assert leaf.shape == outputs.shape
        assert not leaf[1, 2:].any()
        agree(leaf[jnp.arange(2), 0 if reverse else LENGTHS[:2] - 1], last[:2], 1e-6)
    flipped, _ = rnn(X, seq_lengths=LENGTHS, return_carry="all", keep_order=not reverse)
    for leaf, other in zip(jax.tree.leaves(carries), jax.tree.leaves(flipped), strict=True):
        agree(other[0], leaf[0, ::-1] if reverse else leaf[0], 1e-6)


def test_every_carry_of_a_model():
    options = {"hidden_sizes": (H, 3), "bidirectional": True, "rngs": nnx.Rngs(0)}
    run, params = split(randomise(SequenceModel(LSTMCell, D, 2, **options)))
    both = lambda params: (
        run(params, X, return_carry="all", return_activations=True),
        run(params, X, return_carry=True),
    )
    (carries, outputs, activations), (end, expected) = jax.jit(both)(params)
    agree(outputs, expected, 1e-6)
    assert jax.tree.structure(carries) == jax.tree.structure(end)
    for layer in (0, 1):
        (c, h), back = carries[layer]
        agree([c[:, -1], h[:, -1]], end[layer][0], 1e-6)
        agree([state[:, 0] for state in back], end[layer][1], 1e-6)
        gates = jax.tree.map(lambda gate: gate[:, 1:], activations[layer][0])
        kept = gates["forget"] * c[:, :-1]
        agree(c[:, 1:], kept + gates["input"] * gates["candidate"], 1e-5)


def test_a_step_of_ones_own_is_not_linear_because_the_class_above_is():
    class Squashed(MinGRUCell):
        def step(self, h, x):
            h, activations = super().step(h, x)
            return jnp.tanh(h), activations

    class Renamed(MinGRUCell):
        TITLE = "as it was"

    class Called(MinGRUCell):
        def __call__(self, h, x):
            h, _ = super().__call__(h, x)
            return jnp.tanh(h), jnp.tanh(h)

    class Shifted(MinGRUCell):
        LINEAR = True

        def step(self, h, x):
            h, activations = super().step(h, x)
            return h + 1, activations

    assert all(cell.LINEAR for cell in (MinGRUCell, Renamed, Shifted))
    for make in (Squashed, Called):
        assert not make.LINEAR
        cell = randomise(make(D, H, rngs=nnx.Rngs(0)))
        agree(RNN(cell)(X), RNN(cell, gradient="plain")(X), 1e-6)
