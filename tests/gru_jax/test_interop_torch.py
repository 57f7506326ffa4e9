"""PyTorch: golden values without it, and with it values and gradients on random shapes."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from gru_jax import CELLS, RNN, GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.interop import from_torch, to_torch
from tests.helpers import CLASSIC, agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

GOLDEN = Path(__file__).parent.parent / "golden" / "torch.npz"
LAYERS = {"gru": "GRU", "lstm": "LSTM", "vanilla": "RNN"}
EVERY_CELL = pytest.mark.parametrize("name", CLASSIC)


def model_of(name, features, sizes, bidirectional):
    return SequenceModel(
        CELLS[name],
        features,
        1,
        hidden_sizes=sizes,
        readout="every",
        bidirectional=bidirectional,
        rngs=nnx.Rngs(0),
    )


def top_layer(model, x):
    hidden = x
    for layer in model.layers:
        hidden = layer(hidden).outputs
    return hidden


def ours(model, x):
    """Outputs, and the gradients of sum(sin(outputs)) under PyTorch's names and for x."""
    graph, params = nnx.split(model)
    loss = lambda params, x: jnp.sum(jnp.sin(top_layer(nnx.merge(graph, params), x)))
    for_params, for_x = jax.grad(loss, (0, 1))(params, x)
    return top_layer(model, x), to_torch(nnx.merge(graph, for_params)), for_x


def compare(model, x, outputs, gradients, for_x, tolerance):
    actual_outputs, actual, actual_for_x = ours(model, x)
    agree((actual_outputs, actual_for_x), (outputs, for_x), tolerance)
    for key, expected in gradients.items():
        if key.startswith("bias_hh"):  # of which only the candidate's part exists here
            if not isinstance(model.layers[0].forward.cell, GRUCell):
                continue
            hidden = expected.shape[0] // 3
            np.testing.assert_allclose(actual[key][-hidden:], expected[-hidden:], atol=tolerance)
        else:
            np.testing.assert_allclose(actual[key], expected, rtol=tolerance, atol=tolerance)


@EVERY_CELL
def test_golden_values_of_torch(name):
    golden = np.load(GOLDEN)
    pick = lambda prefix: {
        key.removeprefix(f"{name}/{prefix}/"): golden[key]
        for key in golden.files
        if key.startswith(f"{name}/{prefix}/")
    }
    model = model_of(name, 3, (4, 4), bidirectional=True)
    from_torch(model, pick("weights"))
    data = pick("data")
    compare(model, data["x"], data["outputs"], pick("gradients"), data["for_x"], 1e-5)


@EVERY_CELL
@settings(max_examples=5)
@given(
    shape=st.tuples(*[st.integers(1, 6)] * 4),
    layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    seed=st.integers(0, 99),
)
def test_torch(torch, name, shape, layers, bidirectional, seed):
    batch, time, features, hidden = shape
    torch.manual_seed(seed)
    theirs = getattr(torch.nn, LAYERS[name])(
        features, hidden, layers, batch_first=True, bidirectional=bidirectional
    ).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(batch, time, features, dtype=torch.float64, requires_grad=True)
    outputs, _ = theirs(x)
    outputs.sin().sum().backward()
    gradients = {key: value.grad.numpy() for key, value in theirs.named_parameters()}
    with jax.enable_x64(True):
        double = lambda *args, **kwargs: CELLS[name](*args, param_dtype=jnp.float64, **kwargs)
        model = SequenceModel(
            double,
            features,
            1,
            hidden_sizes=(hidden,) * layers,
            readout="every",
            bidirectional=bidirectional,
            rngs=nnx.Rngs(0),
        )
        from_torch(model, theirs.state_dict())
        x_here = jnp.asarray(x.detach().numpy())
        compare(model, x_here, outputs.detach().numpy(), gradients, x.grad.numpy(), 1e-10)
        theirs.load_state_dict(
            {key: torch.from_numpy(np.array(value)) for key, value in to_torch(model).items()}
        )
        agree(theirs(x)[0].detach().numpy(), outputs.detach().numpy(), 1e-10)


@pytest.mark.quick
@EVERY_CELL
def test_there_and_back(name):
    first = randomise(model_of(name, 3, (4, 4), bidirectional=True), 1)
    second = randomise(model_of(name, 3, (4, 4), bidirectional=True), 2)
    from_torch(second, to_torch(first))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first.layers), nnx.state(second.layers))


@pytest.mark.quick
def test_a_cell_and_an_rnn_are_a_single_layer():
    cell = randomise(LSTMCell(3, 4, rngs=nnx.Rngs(0)))
    assert to_torch(cell).keys() == to_torch(RNN(cell)).keys()
    assert to_torch(cell)["weight_ih_l0"].shape == (16, 3)


def test_a_layer_without_biases_gives_zero_biases():
    cell = randomise(GRUCell(3, 4, rngs=nnx.Rngs(0)))
    weights = {key: value for key, value in to_torch(cell).items() if key.startswith("weight")}
    from_torch(cell, weights)
    assert all((gate.bias[...] == 0).all() for gate in (cell.reset, cell.update, cell.candidate))
    assert (cell.recurrent_bias[...] == 0).all()


@pytest.mark.parametrize(
    "cell",
    [
        lambda: GRUCell(3, 4, reset_after=False, rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, update_gate="write", rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, update="constant", rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, activation="relu", rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, gate_activation="hard_sigmoid", rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, learn_initial_state=True, rngs=nnx.Rngs(0)),
        lambda: LSTMCell(3, 4, forget="keep", rngs=nnx.Rngs(0)),
        lambda: LSTMCell(3, 4, activation="relu", rngs=nnx.Rngs(0)),
        lambda: VanillaCell(3, 4, activation="identity", rngs=nnx.Rngs(0)),
        lambda: GRUCell(3, 4, bias=("reset", "update", "candidate"), rngs=nnx.Rngs(0)),
        lambda: LSTMCell(3, 4, bias="input", rngs=nnx.Rngs(0)),
    ],
)
def test_cells_that_torch_lacks(cell):
    with pytest.raises(ValueError, match="PyTorch has no layer that computes this"):
        to_torch(cell())


@pytest.mark.quick
def test_a_state_dict_of_another_shape():
    small, large = GRUCell(3, 4, rngs=nnx.Rngs(0)), GRUCell(3, 5, rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"weight_ih_l0 has shape \(15, 3\): must be \(12, 3\)"):
        from_torch(small, to_torch(large))
    model = model_of("gru", 3, (4, 4), bidirectional=False)
    for state, message in (
        (to_torch(small), "PyTorch layer has 1 layer in one direction: must have 2 layers in one"),
        (to_torch(model) | {"weight_hr_l0": np.zeros(3)}, "weights have weight_hr_l0, which the"),
        ({n: a for n, a in to_torch(model).items() if n != "bias_hh_l1"}, "weights lack bias_hh"),
    ):
        with pytest.raises(ValueError, match=f"^the {message}"):
            from_torch(model, state)


@EVERY_CELL
def test_weights_without_biases(name):
    bare = lambda seed: randomise(CELLS[name](3, 4, bias="none", rngs=nnx.Rngs(0)), seed)
    first, second = bare(1), bare(2)
    state = to_torch(first)
    assert {key.split("_")[0] for key in state} == {"weight"}
    from_torch(second, state)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    with pytest.raises(ValueError, match="the weights have biases that the cell lacks: candidate"):
        from_torch(first, to_torch(CELLS[name](3, 4, rngs=nnx.Rngs(0))))


class Layer:
    """What `from_torch` reads of an `nn.RNN`."""

    def __init__(self, nonlinearity, state):
        self.nonlinearity, self.state_dict = nonlinearity, lambda: state


def test_a_layer_of_another_nonlinearity_is_refused():
    for mine, other in (("tanh", "relu"), ("relu", "tanh")):
        cell = VanillaCell(3, 4, activation=mine, rngs=nnx.Rngs(0))
        from_torch(cell, Layer(mine, to_torch(cell)))
        with pytest.raises(ValueError, match=f"nonlinearity is {other}: must be {mine}, that of"):
            from_torch(cell, Layer(other, to_torch(cell)))


def test_models_that_torch_lacks():
    cells = iter([GRUCell, LSTMCell] + [VanillaCell] * 2)
    activations = iter(["tanh", "relu"])

    def mixed(*sizes, rngs):
        make = next(cells)
        options = {"activation": next(activations)} if make is VanillaCell else {}
        return make(*sizes, rngs=rngs, **options)

    model = lambda make, sizes: SequenceModel(make, 3, 1, hidden_sizes=sizes, rngs=nnx.Rngs(0))
    for bad in (model(GRUCell, (4, 2)), model(mixed, (4, 4)), model(mixed, (4, 4))):
        with pytest.raises(
            ValueError, match="computes this model: all of its cells must be of one"
        ):
            to_torch(bad)


def test_a_population_is_no_layer():
    make = nnx.vmap(lambda key: GRUCell(3, 4, rngs=nnx.Rngs(key)))
    population = make(jax.random.split(jax.random.key(0), 2))
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\), which must be that of one, not s"):
        to_torch(population)


@pytest.mark.quick
def test_several_layers_or_directions_are_named_as_such():
    one, both = model_of("lstm", 3, (4,), False), model_of("lstm", 3, (4,), True)
    cell = LSTMCell(3, 4, rngs=nnx.Rngs(0))
    message = "^the PyTorch layer has {}: must have {}, as the module$"
    two = model_of("lstm", 3, (4, 4), False)
    directions = "1 layer in both directions", "1 layer in one direction"
    for mine, theirs, words in (
        (cell, two, ("2 layers in one direction", "1 layer in one direction")),
        (cell, both, directions),
        (both, one, directions[::-1]),
    ):
        with pytest.raises(ValueError, match=message.format(*words)):
            from_torch(mine, to_torch(theirs))


@pytest.mark.quick
def test_a_list_and_the_layers_of_a_model_are_as_good_as_the_model():
    model = randomise(model_of("gru", 3, (4, 4), bidirectional=False))
    expected = to_torch(model)
    for same in (list(model.layers), [layer.forward for layer in model.layers]):
        found = to_torch(same)
        assert list(found) == list(expected)
        assert all((found[name] == expected[name]).all() for name in expected)


@pytest.mark.quick
@EVERY_CELL
def test_names_of_torchs_cells(name):
    first, second = (randomise(CELLS[name](3, 4, rngs=nnx.Rngs(0)), seed) for seed in (1, 2))
    state = to_torch(first, cell=True)
    assert set(state) == {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}
    from_torch(second, state)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    with pytest.raises(ValueError, match="cell is True: must be False for several layers or both"):
        to_torch(model_of(name, 3, (4, 4), bidirectional=False), cell=True)


@pytest.mark.quick
def test_a_layer_is_found_in_a_larger_module():
    first, second = (randomise(GRUCell(3, 4, rngs=nnx.Rngs(0)), seed) for seed in (1, 2))
    state = {"readout.weight": np.zeros((2, 4)), **to_torch(first, prefix="encoder.rnn.")}
    for prefix in (None, "encoder.rnn", "encoder.rnn."):
        second = randomise(second, 2)
        from_torch(second, state, prefix=prefix)
        jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    several = state | to_torch(second, prefix="decoder.", cell=True)
    for prefix in (None, "coder"):
        with pytest.raises(ValueError, match=r": must be 'encoder\.rnn\.' or 'decoder\.', where"):
            from_torch(second, several, prefix=prefix)
    with pytest.raises(ValueError, match="the state dict has no recurrent layer: no name ends in"):
        from_torch(second, {"readout.weight": np.zeros((2, 4))})


def test_bfloat16_there_and_back():
    make = lambda seed: randomise(GRUCell(3, 4, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)), seed)
    first, second = make(1), make(2)
    state = to_torch(first)
    assert {array.dtype.name for array in state.values()} == {"float32"}
    from_torch(second, state)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))


def test_tensors_of_torch(torch):
    """In bfloat16, with a gradient, of a cell, and of an `nn.RNN` within a module."""
    cell = GRUCell(3, 4, rngs=nnx.Rngs(0))
    theirs = torch.nn.GRUCell(3, 4).bfloat16()
    from_torch(cell, dict(theirs.named_parameters()))
    expected = theirs.weight_ih.detach().float().numpy()
    np.testing.assert_array_equal(to_torch(cell, cell=True)["weight_ih"], expected)
    larger = torch.nn.ModuleDict({"rnn": torch.nn.RNN(3, 4, nonlinearity="relu")})
    with pytest.raises(ValueError, match="nonlinearity is relu: must be tanh"):
        from_torch(VanillaCell(3, 4, rngs=nnx.Rngs(0)), larger)
    relu = VanillaCell(3, 4, activation="relu", rngs=nnx.Rngs(0))
    from_torch(relu, larger)
    x = torch.randn(2, 3)
    h = torch.rand(2, 4)
    outputs, _ = larger["rnn"](x[None], h[None])
    agree(relu(jnp.asarray(h), jnp.asarray(x))[1], outputs[0].detach().numpy(), 1e-5)
    lstm, theirs = LSTMCell(3, 4, rngs=nnx.Rngs(0)), torch.nn.LSTM(3, 4)
    from_torch(lstm, theirs)
    _, last = theirs(x[:, None])
    carry, _ = RNN(lstm, return_carry=True)(jnp.asarray(x)[None])
    agree(carry, [state.detach().numpy()[0] for state in last[::-1]], 1e-5)


def test_nothing_is_changed_by_what_does_not_fit():
    model = randomise(model_of("gru", 3, (4, 4), bidirectional=False))
    before = jax.tree.map(np.asarray, nnx.state(model))
    state = {name: array + 1 for name, array in to_torch(model).items()}
    state["weight_hh_l1"] = state["weight_hh_l1"][:, :3]
    with pytest.raises(
        ValueError, match=r"weight_hh_l1 has shape \(12, 3\): must be \(12, 4\), th"
    ):
        from_torch(model, state)
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(model))
