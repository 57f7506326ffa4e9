"""Regularisers: what masks depend on, what they leave alone, and the faults that others shipped."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec as P

from gru_jax import (
    CELLS,
    RNN,
    Adding,
    Cell,
    Experiment,
    FieldError,
    Gate,
    GRUCell,
    LSTMCell,
    Optimizer,
    Regularizer,
    SequenceModel,
    VanillaCell,
    masking,
    training,
)
from gru_jax.regularizers import Draws
from gru_jax.streams import REGULARIZERS, stream
from gru_jax.tasks.base import training_batch
from tests.helpers import equations, randomise
from tests.populations import member, mesh_of, same

pytestmark = pytest.mark.usefixtures("least_effort")

B, T, D, H = 4, 6, 2, 8
WIDE = 48  # so many units that no two masks are equal by chance
KEY = jax.random.key(3)
X = jnp.asarray(np.random.default_rng(0).normal(size=(B, T, D)), jnp.float32)
MODES = ("plain", "batched", "recomputed")
ALL = Regularizer(
    dropout=0.2,
    input_dropout=0.2,
    recurrent_dropout=0.2,
    tied=False,
    candidate_dropout=0.2,
    zoneout=(0.3, 0.1),
    weight_noise=0.05,
    weight_drop=0.1,
)


def begun(regularizer, cell=None, draws=None, x=X):
    """What is drawn for a pass over x."""
    cell = cell or LSTMCell(D, WIDE, rngs=nnx.Rngs(0))
    return masking.begin(regularizer, cell, jnp.moveaxis(x, 1, 0), draws or Draws(KEY))


def model_of(regularizer=None, make=LSTMCell, **options):
    options = {"hidden_sizes": (H, H), "readout": "every", **options}
    return randomise(
        SequenceModel(make, D, 2, regularizer=regularizer, **options, rngs=nnx.Rngs(0))
    )


def all_different(*arrays):
    rows = [np.asarray(array).tobytes() for array in arrays]
    return len(set(rows)) == len(rows)


def test_a_mask_of_dropout_is_drawn_for_each_sequence_gate_and_part():
    options = {"recurrent_dropout": 0.5, "input_dropout": 0.5}
    wide = jnp.ones((B, T, WIDE))
    tied, untied = (begun(Regularizer(**options, tied=tied), x=wide) for tied in (True, False))
    for gate in masking.gates(tied.cell).values():
        np.testing.assert_array_equal(gate.state_mask[...], tied.cell.input.state_mask[...])
    masks = [g.state_mask[...] for g in masking.gates(untied.cell).values()]
    masks += [g.input_mask[...] for g in masking.gates(untied.cell).values()]
    assert len(masks) == 8
    assert all_different(*(row for mask in masks for row in mask))
    assert set(np.unique(masks)) == {0, 2}
    assert 0.3 < np.mean(masks) / 2 < 0.7
    # On the inputs of tied gates: equal over time, different over examples, and not the state's.
    np.testing.assert_array_equal(tied.steps, np.broadcast_to(tied.steps[0], tied.steps.shape))
    assert all_different(*tied.steps[0], *tied.cell.input.state_mask[...])
    twice = [begun(Regularizer(**options), draws=Draws(jax.random.key(k))).cell for k in (3, 4)]
    assert all_different(*(cell.input.state_mask[...] for cell in twice))


def test_masks_of_a_step_differ_in_time_and_between_states():
    found = begun(Regularizer(candidate_dropout=0.5, zoneout=(0.5,))).masks
    masks = [found["candidate"]["candidate"], found["held"]["c"], found["held"]["h"]]
    assert {mask.shape for mask in masks} == {(T, B, WIDE)}
    assert all_different(*(row for mask in masks for step in mask for row in step))
    assert begun(Regularizer(zoneout=(0.9, 0.1))).masks["held"]["c"].mean() > 0.8
    one = begun(Regularizer(zoneout=(0.0, 0.5))).masks["held"]
    assert not one["c"].any()
    np.testing.assert_array_equal(one["h"], masks[2])


def test_a_mask_belongs_to_the_number_of_an_example_wherever_it_stands():
    regularizer = Regularizer(recurrent_dropout=0.5, zoneout=(0.5,))
    whole = begun(regularizer)
    order = jnp.array([2, 0])
    part = begun(regularizer, draws=Draws(KEY, order), x=X[:2])
    state_mask = whole.cell.input.state_mask[...]
    np.testing.assert_array_equal(part.cell.input.state_mask[...], state_mask[order])
    np.testing.assert_array_equal(part.masks["held"]["c"], whole.masks["held"]["c"][:, order])
    run = RNN(GRUCell(D, H, rngs=nnx.Rngs(0)), regularizer=Regularizer(zoneout=(0.1,)))
    for given, message in (([0, 1], "shape (2,)"), ([0.0] * B, "whole numbers")):
        with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
            run(X, key=KEY, examples=given)


def test_directions_and_layers_have_masks_of_their_own(monkeypatch):
    seen, begin = [], masking.begin
    recorded = lambda *given: seen.append(begin(*given)) or seen[-1]
    monkeypatch.setattr(masking, "begin", recorded)
    regularizer = Regularizer(recurrent_dropout=0.5)
    model = model_of(regularizer, GRUCell, bidirectional=True, hidden_sizes=(WIDE, WIDE))
    model(X[:, :1], key=KEY)
    assert len(seen) == 4
    assert all_different(*(found.cell.update.state_mask[...] for found in seen))


def test_with_f_at_1_and_i_at_0_the_candidates_dropout_keeps_the_state_exactly():
    cell = LSTMCell(D, H, forget="keep", rngs=nnx.Rngs(0))
    cell.input.bias[...] = jnp.full(H, -1e4)
    c = jnp.linspace(-1, 1, H)[None] + jnp.zeros((B, 1))
    run = RNN(cell, regularizer=Regularizer(candidate_dropout=0.7), return_carry=True)
    (kept, _), _ = run(X, initial_carry=(c, jnp.zeros_like(c)), key=KEY)
    np.testing.assert_array_equal(kept, c)


def test_zoneouts_output_is_its_state_and_padding_and_resets_win():
    regularizer = Regularizer(zoneout=(0.6,))
    run = jax.jit(
        lambda lengths, resets: RNN(
            LSTMCell(D, H, learn_initial_state=True, rngs=nnx.Rngs(0)), regularizer=regularizer
        )(X, seq_lengths=lengths, resets=resets, key=KEY, return_carry="all")
    )
    lengths = jnp.array([T, 3, 1, 0])
    resets = jnp.zeros((B, T), bool).at[0, 3].set(True)
    (c, h), outputs = run(lengths, resets)
    np.testing.assert_array_equal(outputs, h)
    held = begun(regularizer, LSTMCell(D, H, rngs=nnx.Rngs(0))).masks["held"]
    assert held["h"][3, 0].any()
    np.testing.assert_array_equal(h[0, 3][held["h"][3, 0]], 0)  # the state to which it was reset
    np.testing.assert_array_equal(c[0, 4][held["c"][4, 0]], c[0, 3][held["c"][4, 0]])
    assert not outputs[1, 3:].any()
    assert not outputs[3].any()
    free = run(jnp.full(B, T), jnp.zeros((B, T), bool))[1]
    np.testing.assert_array_equal(outputs[1, :3], free[1, :3])


def test_weight_drop_and_noise_change_a_copy_and_differ_from_call_to_call():
    cell = randomise(LSTMCell(D, H, rngs=nnx.Rngs(0)))
    before = jax.tree.map(np.array, nnx.state(cell))
    state = lambda pass_: nnx.to_pure_dict(nnx.state(pass_.cell))
    dropped, again, noisy, louder = (
        state(begun(Regularizer(**options), cell, Draws(jax.random.key(key))))
        for key, options in (
            (0, {"weight_drop": 0.5}),
            (1, {"weight_drop": 0.5}),
            (0, {"weight_noise": 0.1}),
            (0, {"weight_noise": 0.2}),
        )
    )
    old = nnx.to_pure_dict(before)
    zeros = []
    for name, gate in dropped.items():
        np.testing.assert_array_equal(gate["kernel"], old[name]["kernel"])
        zeros.append(gate["recurrent_kernel"] == 0)
        expected = np.where(zeros[-1], 0, 2 * old[name]["recurrent_kernel"])
        np.testing.assert_allclose(gate["recurrent_kernel"], expected, rtol=1e-6)
        zeros.append(again[name]["recurrent_kernel"] == 0)
    assert all_different(*zeros)
    assert 0.4 < np.mean(zeros) < 0.6
    noise, twice = (jax.tree.map(np.subtract, found, old) for found in (noisy, louder))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(2 * a, b, atol=1e-6), noise, twice)
    values = np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(noise)])
    assert 0.08 < values.std() < 0.12
    assert len(np.unique(values)) > 0.95 * values.size
    jax.tree.map(np.testing.assert_array_equal, nnx.state(cell), before)


def test_dropout_between_layers_is_that_of_a_loop_over_them_with_none_after_the_last():
    model = model_of(Regularizer(dropout=0.5), GRUCell)
    first, second = (layer.forward for layer in model.layers)
    hidden = first(X)
    kept = Draws(KEY).at("layer 1").at("dropout").chosen_by_example(0.5, (B,), (T, H))
    assert all_different(*kept)
    assert all_different(*kept.swapaxes(0, 1))
    expected = model.readout(second(jnp.where(kept, 2 * hidden, 0)))
    np.testing.assert_allclose(model(X, key=KEY), expected, rtol=1e-5, atol=1e-6)


def test_every_gradient_mode_draws_the_same():
    """Batched gradients are those of a loop, see test_regularizers_values.py."""
    options = {"recurrent_dropout": 0.3, "candidate_dropout": 0.3, "zoneout": (0.3,)}
    cell = randomise(GRUCell(D, H, rngs=nnx.Rngs(0)))

    def loss(params, gradient):
        run = RNN(cell, gradient=gradient, segment=4, regularizer=Regularizer(**options))
        graph, _ = nnx.split(run)
        return jnp.sum(nnx.merge(graph, {"cell": params})(X, key=KEY) ** 2)

    every = jax.jit(lambda params: [jax.grad(loss)(params, mode) for mode in MODES])
    plain, *others = every(nnx.state(cell))
    for other in others:
        same(other, plain, exact=False)


def test_without_a_key_nothing_is_drawn_and_off_is_the_same_program():
    some = Regularizer(recurrent_dropout=0.5, weight_noise=1.0)
    off, zero, on = (model_of(each, GRUCell) for each in (None, Regularizer(zoneout=(0.0,)), some))
    text = lambda model, **given: str(jax.make_jaxpr(lambda x: model(x, **given))(X))
    assert text(off) == text(off, key=KEY) == text(zero) == text(zero, key=KEY)
    drawn = {"random_bits", "random_fold_in", "threefry2x32"}
    used = lambda function, *given: list(equations(jax.make_jaxpr(function)(*given).jaxpr, drawn))
    assert not used(lambda x: on(x), X)
    assert used(lambda x: on(x, key=KEY), X)
    state = training.init(experiment := trained(Regularizer()), mesh_of(1, 1), (0,), (1.0,), (1.0,))
    batch = training_batch(experiment.task, 0, 0, jnp.arange(2))
    model = experiment.model(member(state.params, 0))
    assert not used(lambda x: model(x), batch.inputs)
    assert text(on) == text(off)


def trained(regularizer, make=LSTMCell, **options):
    def built(rngs):
        return SequenceModel(
            make, 2, 1, hidden_sizes=(5, 5), regularizer=regularizer, readout="last", rngs=rngs
        )

    options = {"batch_size": 4, "chunk": 2, "evaluation_examples": 8, **options}
    return Experiment(Adding(5), built, **options)


def test_training_draws_anew_at_each_update_whatever_the_devices_and_learns_without_noise():
    """Against a loop over updates on one device: each has the key of its seed and step."""
    regularizer = Regularizer(recurrent_dropout=0.3, zoneout=(0.3,), weight_noise=0.1, dropout=0.2)
    experiment = trained(regularizer, VanillaCell, optimizer=Optimizer("sgd", beta1=0.0))
    mesh = mesh_of(2, 2)  # over which both seeds and batches are divided
    state = start = training.init(experiment, mesh, (3, 4), (0.1, 0.1), (np.inf, np.inf))
    start = jax.tree.map(np.array, start)
    for _ in range(2):  # through the host, as through a checkpoint
        state = jax.device_put(jax.tree.map(np.array, state), training.per_seed(mesh))
        state, _ = training.train_chunk(experiment, mesh, state)
    params, indices = member(start.params, 1), jnp.arange(4)

    @jax.jit
    def update(params, step):
        batch = training_batch(experiment.task, 4, step, indices)
        key = stream(REGULARIZERS, 4, step)

        def loss(params):
            outputs = experiment.model(params)(batch.inputs, key=key, examples=indices)
            return experiment.task.loss(outputs, batch).mean()

        return jax.tree.map(lambda p, g: p - 0.1 * g, params, jax.grad(loss)(params))

    for step in range(4):
        params = update(params, step)
    same(member(state.params, 1), params, exact=False)
    moved = jax.tree.map(jnp.subtract, params, member(start.params, 1))
    assert optax.tree.norm(moved) > 0.01


class Keeping(Cell):
    """A cell of one's own, which knows nothing of regularisers."""

    def __init__(self, in_features, hidden_features, *, rngs, **options):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.forget = Gate(in_features, hidden_features, rngs=rngs, **options)
        self.write = Gate(in_features, hidden_features, rngs=rngs, **options)

    def step(self, h, x):
        f = jax.nn.sigmoid(self.forget(x, h))
        n = jnp.tanh(self.write(x, f * h))
        return (1 - f) * h + f * n, {"forget": f, "candidate": n}


def test_a_cell_of_ones_own_is_regularised():
    cell = randomise(Keeping(D, H, rngs=nnx.Rngs(0)))
    regularizer = Regularizer(recurrent_dropout=0.4, candidate_dropout=0.3, zoneout=(0.2,))
    found = begun(regularizer, cell)
    held, kept = found.masks["held"]["h"], found.masks["candidate"]["candidate"]
    mask, h, expected = found.cell.forget.state_mask[...], jnp.zeros((B, H)), []
    for t in range(T):
        f = jax.nn.sigmoid(cell.forget(X[:, t], mask * h))
        n = jnp.tanh(cell.write(X[:, t], mask * f * h))
        n = jnp.where(kept[t], n / 0.7, 0)
        h = jnp.where(held[t], h, (1 - f) * h + f * n)
        expected.append(h)
    outputs = RNN(cell, regularizer=regularizer)(X, key=KEY)
    np.testing.assert_allclose(outputs, jnp.stack(expected, 1), rtol=1e-5, atol=1e-6)


REFUSED = [
    ("min_gru", {"recurrent_dropout": 0.1}, "recurrent_dropout = 0.1: must be 0"),
    ("min_lstm", {"weight_drop": 0.1}, "weight_drop = 0.1: must be 0"),
    ("vanilla", {"candidate_dropout": 0.1}, "candidate_dropout = 0.1: must be 0"),
    ("fastgrnn", {"input_dropout": 0.1, "tied": False}, "tied = False: must be True"),
    ("lstm", {"zoneout": (0.1, 0.2, 0.3)}, "one rate, or one for each of c, h"),
    ("slstm", {"zoneout": (0.1,)}, "one rate for each of c, n, m, h, and 0 for c, n, m"),
    ("gru", {"dropout": 0.1}, "dropout = 0.1: must be 0: there is only one layer"),
]


@pytest.mark.parametrize(("name", "options", "message"), REFUSED)
def test_what_has_no_effect_on_a_cell_is_refused(name, options, message):
    with pytest.raises(FieldError, match=f"^regularizer.*{message}"):
        SequenceModel(
            CELLS[name],
            D,
            1,
            hidden_sizes=(3,),
            regularizer=Regularizer(**options),
            rngs=nnx.Rngs(0),
        )


def test_any_leading_axes_strict_settings_and_axes_over_devices():
    tied = Regularizer(input_dropout=0.2, recurrent_dropout=0.2, zoneout=(0.3,), dropout=0.1)
    mesh = jax.make_mesh((4,), ("batch",), axis_types=(jax.sharding.AxisType.Explicit,))
    for regularizer in (ALL, tied):
        model = model_of(regularizer)
        graph, params = nnx.split(model)

        def run(params, x, examples, graph=graph):
            return nnx.merge(graph, params)(x, key=KEY, examples=examples).sum()

        with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
            jax.eval_shape(jax.grad(run), params, X, jnp.arange(B))
        with jax.set_mesh(mesh):
            given = jax.device_put((X, jnp.arange(B)), jax.sharding.NamedSharding(mesh, P("batch")))
            jax.eval_shape(jax.grad(run), params, *given)
    for batch in ((), (0,), (2, 3)):
        shape = jax.eval_shape(lambda x: model(x, key=KEY), jnp.ones((*batch, T, D))).shape
        assert shape == (*batch, T, 2)


def test_models_under_vmap_draw_what_each_draws_alone():
    model = model_of(Regularizer(recurrent_dropout=0.5, zoneout=(0.2,)), GRUCell)
    keys = jax.random.split(KEY, 2)
    both = jax.jit(jax.vmap(lambda key: model(X, key=key)))(keys)
    np.testing.assert_allclose(both[1], model(X, key=keys[1]), rtol=1e-5, atol=1e-6)


def test_a_key_is_a_key():
    run = RNN(GRUCell(D, H, rngs=nnx.Rngs(0)), regularizer=Regularizer(zoneout=(0.1,)))
    with pytest.raises(TypeError, match=r"key is of type Rngs: must be one of jax.random.key"):
        run(X, key=nnx.Rngs(0))


def test_cells_of_others_take_what_needs_no_gates():
    make = lambda *sizes, rngs: nnx.GRUCell(*sizes, rngs=rngs)
    model = model_of(Regularizer(dropout=0.2, input_dropout=0.2, weight_noise=0.1), make)
    assert all_different(model(X, key=KEY), model(X, key=jax.random.key(4)), model(X))
    with pytest.raises(FieldError, match=r"regularizer.zoneout = \(0.1,\): must be \(\): GRUCell"):
        RNN(make(D, H, rngs=nnx.Rngs(0)), regularizer=Regularizer(zoneout=(0.1,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 1.0}, "dropout = 1.0: must be a finite number at least 0 and below 1"),
        ({"zoneout": 0.1}, "zoneout = 0.1: must be a list of probabilities"),
        ({"zoneout": (0.1, -1)}, "zoneout = -1: must be"),
        ({"weight_noise": -0.1}, "weight_noise = -0.1"),
        ({"tied": False}, "tied = False: must be True: there is neither"),
        ({"candidate_mask": "sequence"}, "must be 'step': there is no candidate_dropout"),
    ],
)
def test_bad_values(options, message):
    with pytest.raises(FieldError, match=message):
        Regularizer(**options)
    with pytest.raises(TypeError, match="regularizer is of type float: must be a Regularizer"):
        RNN(GRUCell(D, H, rngs=nnx.Rngs(0)), regularizer=0.1)
