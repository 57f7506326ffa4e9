"""Linear recurrences of many steps at once: the values and derivatives of `lax.scan`."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from gru_jax import CELLS, RNN, FieldError
from gru_jax.parallel import FORMS, NotLinearError, is_linear, parallel_scan
from gru_jax.parallel.recurrence import NARROW, solve
from tests.helpers import randomise, split

pytestmark = pytest.mark.usefixtures("least_effort")

LINEAR = ("min_gru", "min_lstm", "lru")
WAYS = [("associative", 0), *(("chunked", chunk) for chunk in (0, 1, 3, 99))]
T, B, D, H = 7, 3, 2, 4


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng((seed, *shape)).normal(size=shape))


def close(found, expected, rtol=1e-11, atol=1e-12):
    same = lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)
    jax.tree.map(same, found, expected)


def looped(a, b, reverse):
    """The recurrence, one step after the other."""
    c, found = [np.zeros_like(each[0]) for each in b], []
    for t in range(len(b[0]))[:: -1 if reverse else 1]:
        now = [[each[t % len(each)] for each in row] for row in a]
        c = [
            sum(x * y for x, y in zip(row, c, strict=True)) + each[t]
            for row, each in zip(now, b, strict=True)
        ]
        found.append(c)
    return [np.stack(each) for each in zip(*found[:: -1 if reverse else 1], strict=True)]


@pytest.mark.quick
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.usefixtures("x64")
def test_it_solves_the_recurrence(reverse):
    a = [[drawn(T, H, seed=1), drawn(1, H, seed=2)], [drawn(1, H, seed=3), drawn(T, H, seed=4)]]
    b = [drawn(T, H, seed=5), drawn(T, H, seed=6)]
    weights = [drawn(T, H, seed=7), drawn(T, H, seed=8)]
    loss = lambda find, a, b: sum(
        jnp.vdot(w, jnp.sin(c)) for w, c in zip(weights, find(a, b), strict=True)
    )

    def by_scan(a, b):
        whole = jax.tree.map(lambda each: jnp.broadcast_to(each, (T, H)), a)

        def step(c, now):
            a, b = now
            c = [row[0] * c[0] + row[1] * c[1] + each for row, each in zip(a, b, strict=True)]
            return c, c

        return lax.scan(step, [jnp.zeros(H)] * 2, (whole, b), reverse=reverse)[1]

    ways = [functools.partial(solve, form=form, chunk=chunk) for form, chunk in WAYS]
    ways = [functools.partial(way, reverse=reverse) for way in ways]
    slope = lambda find: jax.grad(functools.partial(loss, find), (0, 1))
    values, slopes = jax.jit(
        lambda a, b: ([way(a, b) for way in ways], [slope(f)(a, b) for f in (*ways, by_scan)])
    )(a, b)
    *slopes, expected = slopes
    for value, found in zip(values, slopes, strict=True):
        close(value, looped(a, b, reverse))
        close(found, expected)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.usefixtures("x64")
def test_a_cell_is_that_of_the_scan(name):
    cell = CELLS[name](D, H, param_dtype=jnp.float64, learn_initial_state=True, rngs=nnx.Rngs(0))
    randomise(cell)
    x = drawn(B, T, D).at[1, 4:].set(jnp.nan)
    options = {
        "seq_lengths": jnp.array([T, 4, 0]),
        "resets": jnp.zeros((B, T), bool).at[0, 3].set(True),
    }
    count = len(cell.STATES)
    carry = tuple(drawn(B, H, seed=i) for i in range(count)) if count > 1 else drawn(B, H)
    _, params = split(RNN(cell))

    def total(recurrence):
        rnn, _ = split(RNN(cell, recurrence=recurrence, gradient="plain"))

        def run(params, x, carry):
            found = [
                rnn(params, x, initial_carry=carry, reverse=reverse, keep_order=True,
                    return_carry=every, return_activations=True, **options)
                for reverse, every in ((False, True), (True, "all"))
            ]  # fmt: skip
            return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(found)), found

        return jax.value_and_grad(run, (0, 1, 2), has_aux=True)

    run = jax.jit(lambda *at: [total(recurrence)(*at) for recurrence in ("scan", *FORMS)])
    scanned, *others = run(params, x, carry)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(scanned))
    for other in others:
        close(other, scanned)


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("reverse", [False, True])
def test_what_a_reset_cuts_off_reaches_nothing_even_if_it_is_no_number(name, reverse):
    cell = randomise(CELLS[name](D, H, rngs=nnx.Rngs(0)))
    x = jnp.asarray(drawn(B, T, D), jnp.float32).at[0, 5 if reverse else 1].set(jnp.nan)
    cut = 3
    resets = jnp.zeros((B, T), bool).at[:, cut].set(True).at[1, T - 1 if reverse else 0].set(True)
    start = RNN(cell).initialize_carry((B,))
    start = jax.tree.map(lambda a: a.at[1].set(jnp.inf), start)

    def run(params, form):
        rnn = functools.partial(RNN, recurrence=form, reverse=reverse, keep_order=True)
        return rnn(nnx.merge(graph, params))(x, resets=resets, initial_carry=start)

    graph, params = nnx.split(cell)
    after = slice(0, cut + 1) if reverse else slice(cut, T)
    loss = lambda params, form: jnp.sum(jnp.sin(run(params, form)[:, after]))
    expected, *others = (jax.value_and_grad(loss)(params, form) for form in ("scan", *FORMS))
    assert np.isfinite(expected[0])
    for other in others:
        close(other, expected, rtol=1e-4, atol=1e-5)
    for form in FORMS:
        assert np.isfinite(run(params, form)[1]).all()


@pytest.mark.parametrize("name", LINEAR)
def test_rounding_is_all_that_differs_in_float32(name):
    cell = randomise(CELLS[name](D, H, rngs=nnx.Rngs(0)))
    x = jnp.asarray(drawn(B, 40, D), jnp.float32)
    scanned, *others = jax.jit(
        lambda x: [RNN(cell, recurrence=form)(x) for form in ("scan", *FORMS)]
    )(x)
    for other in others:
        assert other.dtype == jnp.float32
        close(other, scanned, rtol=1e-4, atol=1e-5)


def steps():
    """Steps that are linear, by name."""
    w = drawn(H, H, seed=9)

    def coupled(carry, x):
        a, b, seen, count = carry
        a, b = a / (2 + x**2) - 0.5 * b, jnp.where(x > 0, -b, a) + x
        return (a, b, jnp.tanh(a @ w) + seen, count + x[0]), jnp.cos(seen * a)

    def handed_on(carry, x):
        a, b, c = carry
        return (b, c, x), a

    def kept(carry, x):
        a, b = carry
        return (a, jnp.zeros_like(b)), a * b + x

    number = lambda carry, x: (carry * jnp.float64(0.5) + x[0], None)

    def scalars(carry, x):
        return jnp.where(x[3] > 0, x[0] * carry / (2 + x[1] ** 2) + x[2], -carry - x[0]), carry

    return {
        "coupled": (coupled, (*drawn(3, H), jnp.float64(0.3))),
        "handed_on": (handed_on, tuple(drawn(3, H))),
        "kept": (kept, tuple(drawn(2, H))),
        "number": (number, jnp.float64(0.7)),
        "scalars": (scalars, drawn(T)),  # as many units as steps
        "scalars of a row": (scalars, drawn(2, H)),
    }


@pytest.mark.parametrize(
    "name", ["coupled", "handed_on", "kept", "number", "scalars", "scalars of a row"]
)
@pytest.mark.usefixtures("x64")
def test_any_linear_step_with_all_its_derivatives(name):
    step, carry = steps()[name]
    xs = drawn(T, H, seed=3)
    direction = jax.tree.map(lambda a: jnp.cos(3 * a), (carry, xs))

    def measured(scan):
        run = lambda carry, xs: [scan(step, carry, xs, reverse=r) for r in (False, True)]
        total = lambda *at: sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(run(*at)))
        slope = jax.grad(total, 1)
        return (
            jax.jvp(run, (carry, xs), direction),
            jax.vmap(functools.partial(slope, carry))(jnp.stack([xs, 2 * xs])),
            jax.grad(lambda xs: jnp.sum(slope(carry, xs) ** 2))(xs),
        )

    close(*jax.jit(lambda: (measured(parallel_scan), measured(lax.scan)))())


@pytest.mark.quick
@pytest.mark.parametrize(
    "step",
    [
        lambda h, x: (h * h, x),
        lambda h, x: (jnp.tanh(h) + x, x),
        lambda h, x: (jnp.roll(h, 1) + x, x),
        lambda h, x: (h - h.mean() + x, x),
        lambda h, x: (x / h, x),
        lambda h, x: (jnp.where(h > 0, h, x), x),
        lambda h, x: (h[::-1] * x, x),
        lambda h, x: (jnp.maximum(h, x), x),
    ],
)
def test_others_are_refused(step):
    assert not is_linear(step, jnp.ones(H), jnp.ones(H))
    with pytest.raises(NotLinearError, match="not linear in its carry, unit by unit"):
        parallel_scan(step, jnp.ones(H), jnp.ones((T, H)))


def test_what_is_linear_in_all_units_together_is_refused():
    step = lambda h, x: (h @ jnp.eye(H) + x, x)
    assert not is_linear(step, jnp.ones(H), jnp.ones(H))
    swapped = lambda carry, x: ((carry[1], carry[0] + x), x)
    assert is_linear(swapped, (jnp.ones(H), jnp.ones(H)), jnp.ones(H))


def test_no_steps_and_one():
    step = lambda h, x: (0.5 * h + x, h)
    start = jnp.ones(H)
    for time in (0, 1):
        close(
            parallel_scan(step, start, jnp.ones((time, H))),
            lax.scan(step, start, jnp.ones((time, H))),
        )


@pytest.mark.quick
@pytest.mark.parametrize("name", CELLS)
def test_only_linear_cells_can_be_run_so(name):
    cell = CELLS[name](D, H, rngs=nnx.Rngs(0))
    assert (name in LINEAR) == cell.LINEAR
    if cell.LINEAR:
        assert RNN(cell, recurrence="chunked").recurrence == "chunked"
        return
    message = f"recurrence = 'chunked': must be auto or scan, since {type(cell).__name__} is not"
    with pytest.raises(FieldError, match=message):
        RNN(cell, recurrence="chunked")
    with pytest.raises(FieldError, match="recurrence = 'parallel': must be one of"):
        RNN(cell, recurrence="parallel")


def test_auto_is_chunked_for_narrow_linear_cells():
    traced = lambda rnn, batch: str(jax.make_jaxpr(rnn)(jnp.ones((batch, 16, D))))
    for name, batch, gradient, chunked in [
        ("min_gru", 2, "auto", True),
        ("min_gru", 2, "batched", False),
        ("min_gru", NARROW // H + 1, "auto", False),
        ("gru", 2, "auto", False),
    ]:
        cell = CELLS[name](D, H, rngs=nnx.Rngs(0))
        form = RNN(cell, gradient=gradient, recurrence="chunked" if chunked else "scan")
        assert traced(RNN(cell, gradient=gradient), batch) == traced(form, batch), (name, batch)


def test_auto_is_associative_for_linear_cells_on_a_gpu(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    x = jnp.ones((NARROW, 16, D))
    traced = lambda name, **way: str(
        jax.make_jaxpr(RNN(CELLS[name](D, H, rngs=nnx.Rngs(0)), **way))(x)
    )
    assert "scan[" not in traced("min_gru")
    assert traced("min_gru") == traced("min_gru", recurrence="associative")
    for name, way in (("gru", {}), ("min_gru", {"gradient": "batched"})):
        assert "scan[" in traced(name, **way)
