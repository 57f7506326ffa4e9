"""`gru_jax.scan`: for whatever a step computes, the values and gradients of `lax.scan`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P

from gru_jax import scan
from tests.helpers import agree, randomise

pytestmark = pytest.mark.usefixtures("least_effort")

B, T, D, H = 3, 12, 2, 4
sigmoid, tanh = jax.nn.sigmoid, jnp.tanh


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng((seed, *shape)).normal(size=shape))


def params(**shapes):
    return {name: draw(*shape, seed=ord(name[0])) for name, shape in shapes.items()}


def affine(w, gate, x, h):
    return x @ w["W" + gate] + w["b" + gate] + h @ w["U" + gate]


GATES = {
    name + gate: shape
    for gate in "rzn"
    for name, shape in {"W": (D, H), "U": (H, H), "b": (H,)}.items()
}


def gru_after(w, h, x):
    r, z = sigmoid(affine(w, "r", x, h)), sigmoid(affine(w, "z", x, h))
    n = tanh(x @ w["Wn"] + r * (h @ w["Un"] + w["bn"]))
    h = z * h + (1 - z) * n
    return h, h


def gru_before(w, h, x):
    r, z = sigmoid(affine(w, "r", x, h)), sigmoid(affine(w, "z", x, h))
    h = z * h + (1 - z) * tanh(affine(w, "n", x, r * h))
    return h, (h, r)


def lem(w, carry, x):
    """Two stages: the second hears what the first has made in the same step."""
    y, z = carry
    step = sigmoid(affine(w, "r", x, y))
    z = (1 - step) * z + step * tanh(y @ w["Wy"])
    y = y + sigmoid(affine(w, "z", x, y)) * (tanh(affine(w, "n", x, z)) - y)
    return (y, z), y


def two_states(w, carry, x):
    """Both are read through products, and neither is a function of the other."""
    a, b = carry
    after = tanh(a @ w["U"] + b @ w["V"] + x @ w["W"]), tanh(b @ w["U"] - a @ w["V"])
    return after, a * b


def used_twice(w, h, x):
    h = tanh(x @ w["W"] + h @ w["U"] + tanh(h @ w["U"]) @ w["U"].T + w["U"][0])
    return h, h @ w["U"]


def no_products(w, h, x):
    h = tanh(x[:, :1] * w["a"] + w["u"] * h + w["b"])
    return h, h


def matrix_first(w, h, x):
    """As Equinox does it: one example at a time, the weight on the left."""

    def one(h, x):
        h = tanh(w["U"] @ h + w["V"] @ x + w["b"])
        return h, h

    return jax.vmap(one)(h, x)


def heads(w, h, x):
    """A product with an axis of its own: one matrix for each of two heads."""
    apart = h.reshape(B, 2, H // 2)
    h = tanh(jnp.einsum("bhi,hij->bhj", apart, w["U"]).reshape(B, H) + x @ w["W"])
    return h, None


def tokens(w, carry, token):
    """Whole numbers in, a row of a table for each; a carry that counts."""
    h, count = carry
    h = tanh(w["E"][token] + h @ w["U"] / (1 + count))
    return (h, count + 1), (h, count)


def constants_out(w, h, x):
    """A constant as an output, another one as a part of the carry."""
    h, _ = h
    return (tanh(h @ w["U"] + x @ w["W"]), 2 * w["b"]), (w["b"], h, jnp.float64(1.0))


def calls(w, h, x):
    """Functions with rules of their own, jitted ones, checkpoints."""

    @jax.custom_vjp
    def doubled(a):
        return 2 * a

    doubled.defvjp(lambda a: (2 * a, a), lambda a, d: (2 * d * (1 + 0 * a),))
    inner = jax.checkpoint(lambda h: jax.jit(lambda h: doubled(jax.nn.silu(h @ w["U"])))(h))
    h = jax.nn.relu(inner(h) + x @ w["W"] + 0.3) - jnp.where(h > 0, h, w["b"]) / 2
    return h / 3, h


def control(w, h, x):
    """A branch, and a loop inside the step whose weight comes from outside."""
    h = lax.cond(x[0, 0] > 0, lambda h: h @ w["U"], lambda h: h * w["b"], h)
    inner = lambda h, _: (tanh(h @ w["V"] + x @ w["W"]), None)
    h, _ = lax.scan(inner, h, None, length=2)
    return h, h


def complex_numbers(w, s, x):
    """A linear recurrence of complex numbers."""
    decay = jnp.exp(-jnp.exp(w["n"]) + 1j * w["t"])
    s = decay * s + x @ (w["B"] + 1j * w["C"])
    return s, jnp.real(s @ (w["K"] - 1j * w["L"])) + x @ w["W"]


def no_inputs(w, h, _):
    h = tanh(h @ w["U"] + w["b"])
    return h, h


def flax_cell(make, w, carry, x):
    graph, rest = FLAX[make]
    return nnx.merge(graph, w, rest)(carry, x)


def flax_params(make):
    graph, weights, rest = nnx.split(randomise(make(D, H, rngs=nnx.Rngs(0))), nnx.Param, ...)
    FLAX[make] = graph, rest
    return jax.tree.map(lambda a: a.astype(jnp.float64), weights)


FLAX = {}
PAIR = lambda: (draw(B, H), draw(B, H, seed=1))
X = functools.partial(draw, T, B, D)
WUB = {"W": (D, H), "U": (H, H), "b": (H,)}
# What a step is given: parameters, carry, inputs.
STEPS = {
    gru_after: lambda: (params(**GATES), draw(B, H), X()),
    gru_before: lambda: (params(**GATES), draw(B, H), X()),
    lem: lambda: (params(Wy=(H, H), **GATES), PAIR(), X()),
    two_states: lambda: (params(V=(H, H), W=(D, H), U=(H, H)), PAIR(), X()),
    used_twice: lambda: (params(W=(D, H), U=(H, H)), draw(B, H), X()),
    no_products: lambda: (params(a=(H,), u=(H,), b=(H,)), draw(B, H), X()),
    matrix_first: lambda: (params(V=(H, D), U=(H, H), b=(H,)), draw(B, H), X()),
    heads: lambda: (params(W=(D, H), U=(2, H // 2, H // 2)), draw(B, H), X()),
    tokens: lambda: (
        params(E=(5, H), U=(H, H)),
        (draw(B, H), jnp.zeros(())),
        jnp.arange(T * B).reshape(T, B) % 5,
    ),
    constants_out: lambda: (params(**WUB), (draw(B, H), draw(H)), X()),
    calls: lambda: (params(**WUB), draw(B, H), X()),
    control: lambda: (params(V=(H, H), **WUB), draw(B, H), X()),
    complex_numbers: lambda: (
        params(n=(H,), t=(H,), B=(D, H), C=(D, H), K=(H, 2), L=(H, 2), W=(D, 2)),
        draw(B, H) + 1j * draw(B, H, seed=1),
        X(),
    ),
    no_inputs: lambda: (params(U=(H, H), b=(H,)), draw(B, H), None),
    functools.partial(flax_cell, nnx.GRUCell): lambda: (flax_params(nnx.GRUCell), draw(B, H), X()),
    functools.partial(flax_cell, nnx.OptimizedLSTMCell): lambda: (
        flax_params(nnx.OptimizedLSTMCell),
        PAIR(),
        X(),
    ),
}


def name(value):
    if isinstance(value, functools.partial):
        value = value.args[0]
    return getattr(value, "__name__", str(value))


def real(leaf):
    return jnp.real(leaf) + 0.5 * jnp.imag(leaf) if jnp.iscomplexobj(leaf) else leaf


def loss_of(step, **options):
    """A loss that hears every number that a scan returns."""

    def loss(w, carry, xs):
        run = functools.partial(scan, **options)
        found = run(functools.partial(step, w), carry, xs, None if xs is not None else T)
        leaves = jax.tree.leaves(found)
        weights = [draw(*leaf.shape, seed=7 + i) for i, leaf in enumerate(leaves)]
        return sum(
            jnp.sum(weight * jnp.sin(real(leaf)))
            for weight, leaf in zip(weights, leaves, strict=True)
        )

    return loss


def value_and_slopes(step, gradient, segment=5, reverse=False):
    w, carry, xs = STEPS[step]()
    options = {"gradient": gradient, "segment": segment, "reverse": reverse}
    floats = lambda tree: jax.tree.map(lambda a: jnp.issubdtype(a.dtype, jnp.inexact), tree)
    wanted = (0, 1, 2) if jax.tree.all(floats(xs)) and xs is not None else (0, 1)
    loss = loss_of(step, **options)
    return jax.jit(jax.value_and_grad(loss, wanted))(w, carry, xs)


QUICK = (gru_before, two_states, no_products, matrix_first, constants_out)
MARKED = [pytest.param(each, marks=[pytest.mark.quick] * (each in QUICK)) for each in STEPS]


@pytest.mark.parametrize("step", MARKED, ids=name)
@pytest.mark.usefixtures("x64")
def test_values_and_gradients_are_those_of_lax_scan(step):
    """Both ways, one in each direction, one with some steps left over and one with none.

    Which goes with which alternates over the steps.
    """
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    turn = list(STEPS).index(step)
    for reverse in (False, True):
        gradient = ("batched", "recomputed")[reverse ^ turn % 2]
        segment = (4, 5)[reverse ^ turn // 2 % 2]
        expected = value_and_slopes(step, "plain", reverse=reverse)
        jax.tree.map(close, value_and_slopes(step, gradient, segment, reverse), expected)
    weights = jax.tree.leaves(expected[1][0])
    assert all(jnp.abs(leaf).max() > 0 for leaf in weights)


@pytest.mark.quick
@pytest.mark.usefixtures("x64")
def test_auto_is_batched():
    w, carry, xs = STEPS[gru_before]()
    program = lambda gradient: jax.make_jaxpr(
        jax.grad(loss_of(gru_before, gradient=gradient, segment=5))
    )(w, carry, xs)
    auto, batched, plain = (str(program(each)) for each in ("auto", "batched", "plain"))
    assert auto == batched != plain


def test_auto_is_plain_and_unrolled_on_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    step = lambda h, x: (jnp.tanh(h @ weight + x), h)
    weight, xs, h = 0.3 * jnp.ones((3, 3)), jnp.ones((8, 2, 3)), jnp.zeros((2, 3))
    slope = lambda way: str(jax.make_jaxpr(jax.grad(lambda h: way(step, h, xs)[0].sum()))(h))
    steps = lambda unroll: functools.partial(lax.scan, unroll=unroll)
    assert slope(scan) == slope(steps(4))
    assert slope(functools.partial(scan, unroll=2)) == slope(steps(4))
    assert slope(functools.partial(scan, unroll=8)) == slope(steps(8)) != slope(steps(4))


@pytest.mark.usefixtures("x64")
def test_under_every_transformation():
    w, carry, xs = STEPS[gru_before]()
    twice = functools.partial(jax.tree.map, lambda a: jnp.stack([a, 0.5 * a]))
    mesh = jax.make_mesh((2,), ("b",), axis_types=(AxisType.Auto,))
    doubled = jnp.concatenate([carry, -carry])[:4], jnp.concatenate([xs, -xs], axis=1)[:, :4]

    @functools.partial(jax.jit, static_argnums=0)
    def found(gradient):
        loss = loss_of(gru_before, gradient=gradient, segment=5)
        slopes = jax.grad(loss, (0, 1, 2))
        # The loss draws its weights by the shapes that it sees: those of a part.
        apart = lambda w, h, x: lax.psum(loss(w, h, x), "b")
        specs = (P(), P("b"), P(None, "b"))
        shards = [
            jax.shard_map(apart, mesh=mesh, in_specs=specs, out_specs=P(), check_vma=check)
            for check in (False, True)
        ]
        return (
            jax.vmap(slopes, (0, None, None))(twice(w), carry, xs),
            jax.vmap(slopes, (None, 0, 0))(w, twice(carry), twice(xs)),
            jax.grad(jax.checkpoint(loss))(w, carry, xs),
            jax.grad(lambda x: jnp.sum(slopes(w, carry, x)[0]["Un"] ** 2))(xs),
            jax.hessian(loss, 1)(w, carry, xs),
            [jax.jit(jax.grad(shard, (0, 1, 2)))(w, *doubled) for shard in shards],
        )

    agree(found("batched"), expected := found("plain"), 1e-8)
    agree(found("recomputed"), expected, 1e-8)


@pytest.mark.parametrize("wrapped", [lambda f: f, jax.jit])
def test_forward_mode_is_refused(wrapped):
    step = lambda h, x: (tanh(h + x), h)
    run = lambda h, gradient: scan(step, h, jnp.ones((5, 3)), gradient=gradient)[0]
    jvp = lambda gradient: jax.jvp(
        wrapped(functools.partial(run, gradient=gradient)), (jnp.ones(3),), (jnp.ones(3),)
    )
    assert jnp.all(jvp("plain")[1] > 0)
    with pytest.raises(TypeError, match="forward-mode") as caught:
        jvp("auto")
    assert "\n" not in str(caught.value)
    if wrapped is not jax.jit:
        assert 'gradient="plain"' in str(caught.value)


@pytest.mark.quick
@pytest.mark.parametrize("gradient", ["plain", "batched", "recomputed"])
def test_gradients_of_many_segments_add_up_in_float32(gradient):
    """In bfloat16 a sum of ones would end at 256."""
    half = lambda a: a.astype(jnp.bfloat16)

    def loss(weights):
        product = lambda x, w: jnp.matmul(half(x), half(w), preferred_element_type=jnp.float32)
        step = lambda h, x: (h + 1, sum(product(x, w) for w in weights))
        return scan(step, 0.0, jnp.ones((1024, 1, 2)), gradient=gradient, segment=2)[1].sum()

    for number in (1, 2):  # two are joined
        gradients = jax.grad(loss)([jnp.ones((2, 3))] * number)
        assert all(jnp.all(each == 1024) for each in gradients)


def test_what_cannot_gain_is_lax_scan_itself():
    def program(step, init, xs, **options):
        return str(jax.make_jaxpr(lambda init, xs: scan(step, init, xs, **options))(init, xs))

    def prints(h, x):
        jax.debug.print("{}", x)
        return h + x, h

    add = lambda h, x: (h + x, h)
    assert "custom_vjp" in program(add, jnp.ones(3), jnp.ones((2, 3)))
    assert "custom_vjp" not in program(add, jnp.ones(3), jnp.ones((2, 3)), gradient="plain")
    assert "custom_vjp" not in program(add, jnp.ones(3), jnp.ones((1, 3)))
    assert "custom_vjp" not in program(lambda _, x: (None, x), None, jnp.ones((2, 3)))
    assert "debug_print" in (text := program(prints, jnp.ones(3), jnp.ones((2, 3))))
    assert "custom_vjp" not in text
    assert scan(add, jnp.ones(3), jnp.ones((0, 3)))[1].shape == (0, 3)


def test_errors_are_those_of_lax_scan():
    with pytest.raises(TypeError, match="carry"):
        scan(lambda h, x: ((h, h), x), jnp.ones(3), jnp.ones((2, 3)))
    with pytest.raises(ValueError, match="gradient = 'fast'"):
        scan(lambda h, x: (h, x), jnp.ones(3), jnp.ones((2, 3)), gradient="fast")


def by_depth(step, primitive):
    """The equations of a gradient that call a primitive, by how deep in loops they stand."""
    w, carry, xs = STEPS[step]()
    loss = loss_of(step, gradient="batched", segment=4)
    found = {0: [], 1: [], 2: []}

    def walk(jaxpr, depth):
        found[depth] += [e for e in jaxpr.eqns if e.primitive.name == primitive]
        for equation in jaxpr.eqns:
            for inner in jax.tree.leaves(equation.params):
                if hasattr(inner := getattr(inner, "jaxpr", inner), "eqns"):
                    walk(inner, depth + (equation.primitive.name == "scan"))

    walk(jax.make_jaxpr(jax.grad(loss))(w, carry, xs).jaxpr, 0)
    return found


def shapes(equations):
    return [equation.invars[0].aval.shape for equation in equations]


@pytest.mark.parametrize(
    ("step", "gates"),
    [(gru_after, [3]), (gru_before, [2, 1]), (lem, [3, 1]), (matrix_first, [1])],
    ids=name,
)
def test_only_products_of_the_state_are_a_steps(step, gates):
    """In the loops: one product for all gates that hear the same values, and one for its gradient.

    All others are a segment's.
    """
    found = by_depth(step, "dot_general")
    expected = [(B, H)] * len(gates) + [(B, number * H) for number in gates]
    assert sorted(shapes(found[2])) == sorted(expected)
    assert found[1]
    assert all(len(shape) == 2 and 4 * B in shape for shape in shapes(found[1]))


@pytest.mark.parametrize("step", [gru_before, matrix_first], ids=name)
def test_a_weight_is_transposed_before_the_loops(step):
    found = by_depth(step, "transpose")
    assert (H, H) in shapes(found[0])
    assert (H, H) not in shapes(found[2])
