"""Flax's own cells: values, states, gradients, and the same bits there and back."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from gru_jax import RNN, GRUCell, LSTMCell, SequenceModel, VanillaCell
from gru_jax.interop import from_linen, from_nnx, to_linen, to_nnx
from tests.helpers import agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

UncommonGRU = functools.partial(GRUCell, bias=("reset", "update", "candidate"))
# Ours, theirs in nnx and in linen, and batch, time, D and H: of D and H few, since each pair takes
# compiling for a cell to be made.
NNX = {
    "GRUCell": (UncommonGRU, nnx.GRUCell, (2, 5, 3, 4)),
    "LSTMCell": (LSTMCell, nnx.LSTMCell, (1, 3, 8, 4)),
    "OptimizedLSTMCell": (LSTMCell, nnx.OptimizedLSTMCell, (3, 4, 3, 4)),
    "SimpleCell": (VanillaCell, nnx.SimpleCell, (2, 2, 8, 4)),
}
LINEN = {
    "GRUCell": (GRUCell, linen.GRUCell, (3, 4, 8, 4)),
    "LSTMCell": (LSTMCell, linen.LSTMCell, (2, 5, 3, 4)),
    "OptimizedLSTMCell": (LSTMCell, linen.OptimizedLSTMCell, (1, 3, 8, 4)),
    "SimpleCell": (VanillaCell, linen.SimpleCell, (2, 4, 3, 4)),
}


def loss(run, parameters, x):
    """Of outputs and final state, and these themselves."""
    carry, outputs = run(parameters, x)
    leaves = jax.tree.leaves((carry, outputs))
    return sum(jnp.sin(leaf).sum() for leaf in leaves), (carry, outputs)


def everything(run, parameters, x):
    """Outputs and final state, the gradient for the parameters, and that for the inputs."""
    graded = jax.jit(jax.grad(functools.partial(loss, run), (0, 1), has_aux=True))
    (for_parameters, for_x), values = graded(parameters, x)
    return values, for_parameters, for_x


def of_module(module, layer):
    """What `layer` of a module makes of x, as a function of parameters; and these."""
    graph, parameters = nnx.split(module)
    return (lambda p, x: layer(nnx.merge(graph, p))(x)), parameters


def ours(cell):
    return of_module(cell, lambda cell: RNN(cell, return_carry=True))


@pytest.mark.parametrize("name", NNX)
def test_nnx_computes_the_same(name):
    make, their_make, (batch, time, features, hidden) = NNX[name]
    cell = randomise(make(features, hidden, rngs=nnx.Rngs(0)), 1)
    theirs = randomise(their_make(features, hidden, rngs=nnx.Rngs(0)), 2)
    from_nnx(cell, theirs)
    x = jnp.asarray(np.random.default_rng(3).normal(size=(batch, time, features)), jnp.float32)
    start = lambda c: (
        lambda x: nnx.RNN(c, return_carry=True)(
            x, initial_carry=c.initialize_carry((batch, features), nnx.Rngs(0))
        )
    )
    values, gradient, for_x = everything(*of_module(theirs, start), x)
    my_values, my_gradient, my_for_x = everything(*ours(cell), x)
    agree((my_values, my_for_x), (values, for_x), 1e-5)
    nnx.update(theirs, gradient)
    mapped = nnx.clone(cell)
    from_nnx(mapped, theirs)
    agree(nnx.state(mapped), my_gradient, 1e-5)


@pytest.mark.parametrize("name", LINEN)
def test_linen_computes_the_same(name):
    make, their_make, (batch, time, features, hidden) = LINEN[name]
    cell = randomise(make(features, hidden, rngs=nnx.Rngs(0)), 1)
    theirs = linen.RNN(their_make(hidden), return_carry=True)
    x = jnp.asarray(np.random.default_rng(3).normal(size=(batch, time, features)), jnp.float32)
    parameters = {"params": {"cell": jax.tree.map(jnp.asarray, to_linen(cell))}}
    assert jax.tree.map(jnp.shape, parameters) == jax.tree.map(
        jnp.shape, jax.eval_shape(theirs.init, jax.random.key(0), x)
    )
    values, gradient, for_x = everything(theirs.apply, parameters, x)
    my_values, my_gradient, my_for_x = everything(*ours(cell), x)
    agree((my_values, my_for_x), (values, for_x), 1e-5)
    mapped = nnx.clone(cell)
    from_linen(mapped, gradient)
    agree(nnx.state(mapped), my_gradient, 1e-5)


@pytest.mark.quick
@pytest.mark.parametrize("name", NNX)
def test_there_and_back(name):
    make, their_make, (_, _, features, hidden) = NNX[name]
    first, second = (randomise(make(features, hidden, rngs=nnx.Rngs(0)), seed) for seed in (1, 2))
    theirs = their_make(features, hidden, rngs=nnx.Rngs(0))
    to_nnx(first, theirs)
    from_nnx(second, theirs)
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
    make = LINEN[name][0]
    first, second = (randomise(make(features, hidden, rngs=nnx.Rngs(0)), seed) for seed in (1, 2))
    from_linen(second, to_linen(first))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))


@pytest.mark.quick
def test_layers_and_directions():
    make = lambda seed: randomise(
        SequenceModel(LSTMCell, 3, 1, hidden_sizes=(4, 4), bidirectional=True, rngs=nnx.Rngs(0)),
        seed,
    )
    run = lambda *sizes: nnx.RNN(nnx.LSTMCell(*sizes, rngs=nnx.Rngs(0)))
    both = lambda *sizes: nnx.Bidirectional(run(*sizes), run(*sizes), rngs=nnx.Rngs(0))
    first, second, third = (make(seed) for seed in (1, 2, 3))
    theirs = [both(3, 4), both(8, 4)]
    to_nnx(first, theirs)
    from_nnx(second, theirs)
    parameters = to_linen(first)
    from_linen(third, [{"params": layer} for layer in parameters])
    for other in (second, third):
        jax.tree.map(
            np.testing.assert_array_equal, nnx.state(first.layers), nnx.state(other.layers)
        )
    x = jnp.asarray(np.random.default_rng(3).normal(size=(2, 3, 3)), jnp.float32)
    outputs = first.layers[0](x).outputs
    agree(theirs[0](x), outputs, 1e-5)
    way = lambda: linen.RNN(linen.LSTMCell(4))
    agree(linen.Bidirectional(way(), way()).apply({"params": parameters[0]}, x), outputs, 1e-5)


def cell_of_nnx(kind, **options):
    return kind(3, 4, rngs=nnx.Rngs(0), **options)


@pytest.mark.quick
def test_what_computes_something_else_is_refused():
    gru, lstm = UncommonGRU(3, 4, rngs=nnx.Rngs(0)), LSTMCell(3, 4, rngs=nnx.Rngs(0))
    vanilla = VanillaCell(3, 4, rngs=nnx.Rngs(0))
    both = nnx.Bidirectional(
        *(nnx.RNN(cell_of_nnx(nnx.GRUCell)) for _ in range(2)),
        merge_fn=lambda a, b: a + b,
        rngs=nnx.Rngs(0),
    )
    for mine, theirs, message in (
        (gru, cell_of_nnx(nnx.LSTMCell), r"cell of Flax is LSTMCell: must be nnx\.GRUCell$"),
        (lstm, cell_of_nnx(nnx.GRUCell), r"must be nnx\.LSTMCell or nnx\.OptimizedLSTMCell$"),
        (gru, cell_of_nnx(nnx.GRUCell, gate_fn=jax.nn.hard_sigmoid), "gate_fn is hard_sigmoid: mu"),
        (vanilla, cell_of_nnx(nnx.SimpleCell, activation_fn=jax.nn.relu), "activation_fn is relu:"),
        (vanilla, cell_of_nnx(nnx.SimpleCell, residual=True), "has residual=True: must be False$"),
        (gru, nnx.RNN(cell_of_nnx(nnx.GRUCell), reverse=True), "has reverse=True: must be False$"),
        (gru, both, "has another merge_fn: must be the default$"),
        (
            gru,
            [cell_of_nnx(nnx.GRUCell)] * 2,
            "has 2 layers in one direction: must have 1 layer in",
        ),
        (
            gru,
            nnx.GRUCell(3, 5, rngs=nnx.Rngs(0)),
            r"dense_i.kernel has shape \(3, 15\): must be \(",
        ),
    ):
        for convert in (from_nnx, to_nnx):
            with pytest.raises(ValueError, match=message):
                convert(mine, theirs)
    with pytest.raises(
        ValueError, match=r"^the weights lack h/kernel, i/kernel and have hn/.* the module lacks$"
    ):
        from_linen(vanilla, to_linen(GRUCell(3, 4, rngs=nnx.Rngs(0))))


@pytest.mark.quick
def test_biases_that_only_one_of_both_has():
    """A `nnx.GRUCell` has no c_n: here it becomes zero, and there it must not be lost."""
    cell, theirs = randomise(GRUCell(3, 4, rngs=nnx.Rngs(0))), cell_of_nnx(nnx.GRUCell)
    with pytest.raises(
        ValueError, match=r"flax.nnx has no layer that .* its biases are candidate, r"
    ):
        to_nnx(cell, theirs)
    from_nnx(cell, randomise(theirs))
    assert (cell.recurrent_bias[...] == 0).all()
    with pytest.raises(
        ValueError, match=r"flax.linen has no layer .* must be candidate, recurrent, "
    ):
        to_linen(UncommonGRU(3, 4, rngs=nnx.Rngs(0)))
    bare = GRUCell(3, 4, bias="none", rngs=nnx.Rngs(0))
    with pytest.raises(
        ValueError, match="have biases that the cell lacks: candidate, reset, update"
    ):
        from_nnx(bare, theirs)


def test_the_mgu_of_linen_is_another_cell():
    parameters = linen.MGUCell(4).init(jax.random.key(0), jnp.zeros((2, 4)), jnp.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"^the weights lack"):
        from_linen(GRUCell(3, 4, rngs=nnx.Rngs(0)), parameters)


def test_bfloat16():
    make = lambda seed: randomise(GRUCell(3, 4, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)), seed)
    first, second = make(1), make(2)
    from_linen(second, to_linen(first))
    jax.tree.map(np.testing.assert_array_equal, nnx.state(first), nnx.state(second))
