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
from gru_jax.torch_weights import from_torch, to_torch
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


@pytest.mark.quick
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
        (to_torch(small), "lacks bias_hh_l1, bias_ih_l1, weight_hh_l1, weight_ih_l1$"),
        (to_torch(model) | {"weight_hr_l0": np.zeros(3)}, "has weight_hr_l0, which the module lac"),
    ):
        with pytest.raises(ValueError, match=f"^the state dict {message}"):
            from_torch(model, state)


@EVERY_CELL
def test_weights_without_biases(name):
    bare = lambda seed: randomise(CELLS[name](3, 4, bias="none", rngs=nnx.Rngs(0)), seed)
    first, second = bare(1), bare(2)
    state = to_torch(first)
    assert {key.split("_")[0] for key in state} == {"weight"}
    from_torch(second, state)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    with pytest.raises(ValueError, match=r"has bias_hh_l0, bias_ih_l0, which the module lacks$"):
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
    with pytest.raises(ValueError, match=r"shape \(2, 3, 4\): must be those of one model, not sev"):
        to_torch(population)
