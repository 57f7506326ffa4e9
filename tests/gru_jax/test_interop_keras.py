"""Keras 3: golden values without it, and with it layers, models and what must be refused."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from gru_jax import RNN, GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.cells import JANETCell
from gru_jax.interop import from_keras, to_keras
from gru_jax.layers import Layer
from tests.helpers import agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

GOLDEN = Path(__file__).parent.parent / "golden" / "keras.npz"
HARD = {"reset_after": False, "gate_activation": "hard_sigmoid"}
CELLS = {
    "gru": (GRUCell, {}),
    "gru_reset_before": (GRUCell, HARD),
    "lstm": (LSTMCell, {}),
    "vanilla": (VanillaCell, {}),
}
# Of Keras itself, with NumPy 2.
KERAS = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
EVERY_CELL = pytest.mark.parametrize("name", CELLS)


def cell_of(name, features=3, seed=0, **options):
    make, own = CELLS[name]
    return randomise(make(features, 4, rngs=nnx.Rngs(0), **own, **options), seed)


def golden_layers(name):
    """A layer of both directions and one above it, as in tests/golden/make_keras.py."""
    both = [RNN(cell_of(name, seed=seed)) for seed in (1, 2)]
    return nnx.List([Layer(*both), Layer(RNN(cell_of(name, 8, seed=3)))])


def run(layers, x):
    hidden = layers[0](x).outputs
    top = layers[1](hidden)
    return top.outputs, top.carry


@EVERY_CELL
def test_golden_values_of_keras(name):
    golden = np.load(GOLDEN)
    several = lambda part: [
        golden[key] for key in golden.files if key.startswith(f"{name}/{part}/")
    ]
    x, outputs, for_x = (
        jnp.asarray(golden[f"{name}/{part}"]) for part in ("x", "outputs", "for_x")
    )
    layers = golden_layers(name)
    from_keras(layers, several("weights"))

    graph, parameters = nnx.split(layers)

    def loss(parameters, x):
        outputs, carry = run(nnx.merge(graph, parameters), x)
        return sum(jnp.sin(y).sum() for y in jax.tree.leaves((outputs, carry))), (outputs, carry)

    graded = jax.jit(jax.grad(loss, (0, 1), has_aux=True))
    (gradient, my_for_x), (my_outputs, carry) = graded(parameters, x)
    states = several("states")
    if name == "lstm":
        states = [tuple(states[::-1])]  # Keras has (h, c)
    agree((my_outputs, carry, my_for_x), (outputs, states[0], for_x), 1e-5)
    actual = to_keras(nnx.merge(graph, gradient))
    for mine, theirs in zip(actual, several("gradients"), strict=True):
        if name == "gru" and len(theirs) == 2:  # the second row: here c_n alone exists
            mine, theirs = (np.delete(a.reshape(-1), slice(12, 20)) for a in (mine, theirs))
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.quick
@EVERY_CELL
def test_there_and_back(name):
    for make in (lambda seed, **options: cell_of(name, seed=seed, **options), model_of(name)):
        first, second = make(1), make(2)
        from_keras(second, to_keras(first))
        jax.tree.map(np.testing.assert_array_equal, cells(first), cells(second))
    bare, empty = (cell_of(name, seed=seed, bias="none") for seed in (1, 2))
    weights = to_keras(bare)
    assert len(weights) == 2
    from_keras(empty, weights)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(bare), nnx.state(empty))
    biased = cell_of(name)
    from_keras(biased, weights)
    assert all((gate.bias[...] == 0).all() for gate in biased.form().gates.values())
    with pytest.raises(ValueError, match="the weights have biases that the cell lacks: candidate"):
        from_keras(bare, to_keras(biased))


def cells(module):
    return nnx.state(module.layers if isinstance(module, SequenceModel) else module)


def model_of(name):
    make, own = CELLS[name]
    cell = lambda *sizes, rngs: make(*sizes, rngs=rngs, **own)
    sizes = {"hidden_sizes": (4, 4), "bidirectional": True}
    return lambda seed: randomise(SequenceModel(cell, 3, 1, rngs=nnx.Rngs(0), **sizes), seed)


@pytest.mark.quick
def test_weights_that_do_not_fit():
    after, before = cell_of("gru"), cell_of("gru_reset_before")
    for mine, weights, message in (
        (
            before,
            to_keras(after),
            r"^bias has shape \(2, 12\): must be \(12,\), that of a GRU that resets before the "
            "product with 3 inputs and 4 units$",
        ),
        (
            after,
            to_keras(before),
            r"^bias has shape \(12,\): must be \(2, 12\), that of a GRU that re",
        ),
        (
            after,
            to_keras(after)[:1],
            "Keras are 1 array: must be 2 or 3 for each cell, of which the",
        ),
        (
            golden_layers("lstm"),
            to_keras(cell_of("lstm")) * 3,
            r"^layer 1 kernel has shape \(3, 16\)",
        ),
        (cell_of("lstm"), to_keras(golden_layers("lstm")), "are 9 arrays: must be 2 or 3"),
    ):
        with pytest.raises(ValueError, match=message):
            from_keras(mine, weights)


@pytest.mark.quick
def test_cells_that_keras_lacks():
    for cell, reason in (
        (
            cell_of("gru", update_gate="write"),
            'it is no standard .*; a GRU needs update_gate="keep"',
        ),
        (cell_of("lstm", forget="keep"), "its forget gate is not a learned function of"),
        (cell_of("lstm", learn_initial_state=True), "its initial state is learned"),
        (
            cell_of("lstm", bias="input"),
            "its biases are input, and must be candidate, forget, input",
        ),
        (JANETCell(3, 4, rngs=nnx.Rngs(0)), "it is no standard GRU, LSTM or vanilla RNN"),
    ):
        with pytest.raises(ValueError, match=f"Keras has no layer that computes this .*: {reason}"):
            to_keras(cell)


def test_bfloat16():
    first, second = (cell_of("gru", seed=seed, param_dtype=jnp.bfloat16) for seed in (1, 2))
    assert {array.dtype.name for array in to_keras(first)} == {"float32"}
    from_keras(second, to_keras(first))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))


class StandIn:
    """What `from_keras` reads of a layer, where Keras is not installed."""

    def __init__(self, cell, go_backwards=False, **cell_options):
        theirs = {"built": True, "activation": jnp.tanh, "recurrent_activation": jax.nn.sigmoid}
        self.cell = type("LSTMCell", (), {})()
        vars(self.cell).update(theirs | cell_options, get_weights=lambda: to_keras(cell))
        self.go_backwards = go_backwards


@pytest.mark.quick
def test_layers_are_asked_what_they_compute():
    first, second = (cell_of("lstm", seed=seed) for seed in (1, 2))
    from_keras(second, StandIn(first))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    for layer, message in (
        (
            StandIn(first, go_backwards=True),
            "go_backwards is True: must be False for a layer of one",
        ),
        (StandIn(first, built=False), "the layer has no weights yet"),
        (
            StandIn(first, activation=jax.nn.relu),
            "activation is relu: must be tanh, that of the cell",
        ),
        (
            StandIn(first, recurrent_activation=jax.nn.hard_sigmoid),
            "recurrent_activation is hard_si",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            from_keras(second, layer)
    with pytest.raises(
        ValueError, match="layer is an LSTM: must be a GRU that resets after the pro"
    ):
        from_keras(cell_of("gru"), StandIn(first))


def layer_of(keras, name, units=4, **options):
    layers = keras.layers
    if name == "gru_reset_before":
        options |= {"reset_after": False, "recurrent_activation": "hard_sigmoid"}
    kind = {"lstm": layers.LSTM, "vanilla": layers.SimpleRNN}.get(name, layers.GRU)
    return kind(units, return_sequences=True, **options)


@KERAS
@EVERY_CELL
def test_a_keras_model(keras, name):
    """From a model whose recurrent layers are among others, and its arrays back into it."""
    inputs = [keras.layers.Input((5, 3)), keras.layers.Dropout(0.1)]
    both = keras.layers.Bidirectional(layer_of(keras, name, dropout=0.1))
    inner = keras.Sequential([both, layer_of(keras, name)])
    model = keras.Sequential([*inputs, inner])
    random = np.random.default_rng(0)
    inner.set_weights([random.normal(0, 0.5, w.shape) for w in inner.get_weights()])
    layers = golden_layers(name)
    from_keras(layers, model)
    x = random.normal(size=(2, 5, 3)).astype(np.float32)
    expected = model(x)
    agree(run(layers, jnp.asarray(x))[0], expected, 1e-5)
    inner.set_weights(to_keras(layers))
    agree(model(x), expected, 1e-5)


@KERAS
def test_what_keras_computes_otherwise_is_refused(keras):
    x = np.zeros((1, 2, 3), np.float32)
    hard = {"recurrent_activation": "hard_sigmoid"}
    both = keras.layers.Bidirectional(layer_of(keras, "lstm"), merge_mode="sum")
    for mine, theirs, message in (
        (
            "gru",
            layer_of(keras, "gru", **hard),
            "recurrent_activation is hard_sigmoid: must be sig",
        ),
        (
            "gru",
            layer_of(keras, "gru_reset_before"),
            "is a GRU that resets before .* must be a GRU t",
        ),
        (
            "lstm",
            layer_of(keras, "lstm", activation="relu"),
            "activation is relu: must be tanh, that",
        ),
        ("lstm", layer_of(keras, "lstm", go_backwards=True), "go_backwards is True: must be False"),
        ("lstm", both, "merge_mode is 'sum': must be 'concat'"),
        (
            "lstm",
            layer_of(keras, "vanilla"),
            "Keras layer is a vanilla RNN: must be an LSTM, as the",
        ),
        (
            "lstm",
            layer_of(keras, "lstm", units=5),
            r"kernel has shape \(3, 20\): must be \(3, 16\)",
        ),
        (
            "lstm",
            [layer_of(keras, "lstm")] * 2,
            "has 2 layers in one direction: must have 1 layer in",
        ),
        ("lstm", keras.layers.Dense(4), "the Keras model has 0 layers: must have 1 layer in"),
    ):
        for layer in theirs if isinstance(theirs, list) else [theirs]:
            if not layer.built:
                layer(x)
        with pytest.raises(ValueError, match=message):
            from_keras(cell_of(mine), theirs)
    with pytest.raises(
        ValueError, match="the layer has no weights yet: it must be built, or called"
    ):
        from_keras(cell_of("lstm"), layer_of(keras, "lstm"))
    # hard_sigmoid of Keras 2 was another function of the same name.
    old = layer_of(keras, "gru", recurrent_activation=lambda a: np.clip(0.2 * a + 0.5, 0, 1))
    old.build(x.shape)
    with pytest.raises(ValueError, match="recurrent_activation is <lambda>: must be hard_sigmoid"):
        from_keras(cell_of("gru", gate_activation="hard_sigmoid"), old)
