"""The optax chain: what each part does, and that the clip does something."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gru_jax import FieldError, Optimizer
from gru_jax.optimizer import OPTIMIZERS

pytestmark = pytest.mark.quick

PARAMS = {"a": jnp.array([1.0, -2.0]), "b": jnp.array(0.5)}


def run(optimizer, gradients, learning_rate=0.1, clip_norm=np.inf, params=PARAMS):
    transform = optimizer.transform(learning_rate, clip_norm)
    state = transform.init(params)
    for gradient in gradients:
        updates, state = transform.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


def gradients(count=5, scale=1.0):
    generator = np.random.default_rng(0)
    return [
        {
            "a": jnp.asarray(generator.normal(size=2) * scale),
            "b": jnp.asarray(generator.normal() * scale),
        }
        for _ in range(count)
    ]


def run_optax(transform, given, params=PARAMS):
    state = transform.init(params)
    for gradient in given:
        updates, state = transform.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
    return params


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Optimizer("adam"), optax.adam(0.1)),
        (Optimizer("adamw", weight_decay=0.02), optax.adamw(0.1, weight_decay=0.02)),
        (Optimizer("sgd", beta1=0.0), optax.sgd(0.1)),
        (Optimizer("sgd", beta1=0.8), optax.sgd(0.1, momentum=0.8)),
        (Optimizer("adam", beta1=0.8, beta2=0.9, epsilon=1e-3), optax.adam(0.1, 0.8, 0.9, 1e-3)),
        (
            Optimizer("rmsprop", beta1=0.0, beta2=0.99),
            optax.rmsprop(0.1, decay=0.99, eps_in_sqrt=False),
        ),
    ],
)
def test_same_as_optax(ours, theirs):
    expected = run_optax(theirs, gradients())
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), run(ours, gradients()), expected
    )


def test_the_clip_bounds_the_global_norm_and_leaves_small_gradients_alone():
    plain = Optimizer("sgd", beta1=0.0)
    gradient = gradients(1, scale=10.0)
    moved = jax.tree.map(lambda new, old: new - old, run(plain, gradient, clip_norm=0.5), PARAMS)
    np.testing.assert_allclose(optax.tree.norm(moved), 0.05, rtol=1e-5)
    free = run(plain, gradient)
    assert optax.tree.norm(jax.tree.map(jnp.subtract, free, PARAMS)) > 0.5
    small = gradients(1, scale=1e-3)
    jax.tree.map(np.testing.assert_array_equal, run(plain, small, clip_norm=0.5), run(plain, small))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_of_less_precision_are_moved_as_those_of_more(name):
    """Its means would stand still in bfloat16, where 0.999 is 1."""
    low = jax.tree.map(lambda a: a.astype(jnp.bfloat16), PARAMS)  # which are the same
    optimizer = Optimizer(name)
    transform = optimizer.transform(0.1, 1.0)
    states, steps = [transform.init(PARAMS), transform.init(low)], [None, None]
    for gradient in gradients(20):
        rounded = jax.tree.map(lambda a: a.astype(jnp.bfloat16), gradient)
        wide = jax.tree.map(lambda a: a.astype(jnp.float32), rounded)
        for i, (given, params) in enumerate([(wide, PARAMS), (rounded, low)]):
            steps[i], states[i] = transform.update(given, states[i], params)
    jax.tree.map(np.testing.assert_array_equal, *steps)
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert {a.dtype for a in jax.tree.leaves(optax.apply_updates(low, steps[1]))} == {
        jnp.dtype(jnp.bfloat16)
    }


@pytest.mark.parametrize(
    ("optimizer", "factors"),
    [
        (Optimizer(), {0: 1, 1000: 1}),
        (Optimizer(schedule="cosine", decay_steps=10), {0: 1, 5: 0.5, 10: 0, 20: 0}),
        (
            Optimizer(schedule="warmup_cosine", warmup_steps=4, decay_steps=14),
            {0: 0, 2: 0.5, 4: 1, 9: 0.5, 14: 0},
        ),
        (Optimizer(schedule="warmup_constant", warmup_steps=4), {0: 0, 1: 0.25, 4: 1, 99: 1}),
    ],
)
def test_schedules(optimizer, factors):
    schedule = optimizer.schedule_factor()
    for step, factor in factors.items():
        np.testing.assert_allclose(schedule(step), factor, atol=1e-6)


def test_the_schedule_reaches_the_update():
    decayed = Optimizer("sgd", beta1=0.0, schedule="cosine", decay_steps=2)
    ones = [jax.tree.map(jnp.ones_like, PARAMS)] * 3
    moved = jax.tree.map(jnp.subtract, PARAMS, run(decayed, ones))
    np.testing.assert_allclose(moved["b"], 0.1 * (1 + 0.5 + 0), rtol=1e-5)


def test_a_traced_learning_rate_and_clip_do_the_same():
    optimizer = Optimizer(schedule="warmup_cosine", warmup_steps=2, decay_steps=9)
    traced = jax.jit(lambda rate, clip: run(optimizer, gradients(), rate, clip))(0.1, 0.7)
    expected = run(optimizer, gradients(), 0.1, 0.7)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), traced, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "adm"}, "name = 'adm': .*did you mean 'adam"),
        ({"beta1": 1.0}, "beta1 = 1.0: must be a finite number at least 0 and below 1"),
        ({"epsilon": 0}, "epsilon = 0: must be a finite number above 0"),
        ({"weight_decay": 0.1}, "weight_decay = 0.1: must be 0 without adamw"),
        ({"warmup_steps": 3}, "warmup_steps = 3: must be 0"),
        ({"decay_steps": 3}, "decay_steps = 3: must be 0"),
        ({"schedule": "linear"}, "schedule = 'linear'"),
        ({"schedule": "cosine"}, "decay_steps = 0: must be a whole number, at least 1"),
        ({"schedule": "warmup_constant"}, "warmup_steps = 0: must be a whole number, at least 1"),
    ],
)
def test_bad_fields(options, message):
    with pytest.raises(FieldError, match=message):
        Optimizer(**options)
