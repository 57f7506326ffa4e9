"""The empirical claims of GRU tutorials, by their number in docs/claims.md: what results/ holds."""

import math

import numpy as np
import pytest

from experiments.stats.comparisons import compared, ranked
from gru_jax.tasks import Savings
from scripts.paper import defaults, gradients, reach, results


def test_10_a_vanilla_rnns_gradient_stays_below_its_bound_and_vanishes_below_norm_1():
    for name, measured in gradients.load()["initial"].items():
        if measured["cell"] == "vanilla":
            for part, carried in measured["transport"].items():
                pairs = zip(carried, measured["bound"][part], strict=True)
                assert all(c is None or c <= b + 1e-4 for c, b in pairs), (name, part)
            carried = measured["transport"]["median"]
            if name.endswith("0.5"):
                assert carried[-1] is None or carried[-1] < -100
            if name.endswith("1.5"):
                assert measured["transport"]["high"][-1] > 0


def over_a_hundred_steps(name):
    measured = gradients.load()["initial"][name]
    place = measured["lags"].index(100)
    return [np.exp(measured["transport"][part][place]) for part in ("low", "median", "high")]


def test_22_gates_do_not_solve_the_vanishing_gradient_but_their_start_does():
    _, vanilla, _ = over_a_hundred_steps("tanh-1")
    for kind in ("gru", "lstm"):
        assert over_a_hundred_steps(f"{kind}-bias0")[2] < vanilla
        assert over_a_hundred_steps(f"{kind}-bias1")[2] < 1e-3
        assert over_a_hundred_steps(f"{kind}-chrono")[0] > 0.4


def test_22_training_makes_gates_carry_what_their_start_did_not():
    before, after = gradients.load()["before"], gradients.load()["after"]
    solved = {each.row["trial"]: each.outcomes.solved for each in results.load("gradients_trained")}
    carried = lambda measured: [
        0.0 if (log := measured["transport"][part][-1]) is None else math.exp(log)
        for part in ("low", "median", "high")
    ]
    for kind in ("gru", "lstm"):
        assert carried(before[f"{kind}-bias0"])[2] < 1e-9
        for start in ("bias0", "bias1", "chrono"):
            name = f"{kind}-{start}"
            assert carried(after[name])[0] > 0.05
            assert after[name]["horizon"][0] >= 98  # of 100 steps
            assert solved[name] == 16
    low, _, high = carried(after["gru-bias0"])
    assert (round(low, 2), round(high, 2)) == (0.05, 0.11)
    assert min(carried(after[name])[1] for name in GRUS) > 0.07
    assert all(solved[name] == 0 for name in after if after[name]["cell"] == "vanilla")
    for name in ("tanh-1.5", "relu-1.5"):
        assert carried(after[name])[1] < carried(before[name])[1]
    for name in ("relu-0.5", "relu-1"):
        assert carried(before[name])[1] < carried(after[name])[1] < 1e-5


GATED = ("gru-bias0", "gru-bias1", "gru-chrono", "gru-before")
GRUS = (*GATED, "gru-open")


def test_16_an_update_gate_says_how_long_a_unit_remembers_and_a_reset_gate_does_not():
    for name in GRUS:
        ranks = gradients.load()["after"][name]["gates"]["correlation"]
        assert ranks["update"][0] > 0.9
        assert ranks["gate"][0] > 0.9
    for name in GATED:
        ranks = gradients.load()["after"][name]["gates"]["correlation"]
        assert abs(ranks["reset"][1]) < 0.3
        assert ranks["reset"][2] < 0.4
    # Positive where there is anything: short memories have reset gates nearer to 0.
    assert gradients.load()["after"]["gru-bias0"]["gates"]["correlation"]["reset"][0] > 0


def test_22_the_longer_its_memories_at_the_start_the_sooner_an_lstm_has_solved_adding():
    found = {each.row["trial"]: each.outcomes for each in results.load("gradients_trained")}
    steps = {name: each.median_steps for name, each in found.items()}
    assert steps["lstm-chrono"] < steps["lstm-bias1"] < steps["lstm-bias0"]
    assert steps["gru-chrono"] < min(steps["gru-bias0"], steps["gru-bias1"])
    assert steps["gru-bias0"] <= steps["gru-bias1"]


def test_16_training_spreads_the_memories_of_units_apart():
    before, after = (gradients.load()[when] for when in ("before", "after"))
    for name in ("gru-bias0", "gru-open", "gru-before"):
        low, _, high = after[name]["gates"]["half_life"]["own"]
        assert low < before[name]["gates"]["half_life"]["own"][0]
        assert high > 10 * before[name]["gates"]["half_life"]["own"][2]


def test_24_what_comes_in_decides_how_much_passes():
    before, after = gradients.load()["before"], gradients.load()["after"]
    mark = lambda measured: [measured["response"][part][1] for part in ("low", "median", "high")]
    lstms = ("lstm-bias0", "lstm-bias1", "lstm-chrono")
    assert max(abs(mark(before[name])[1]) for name in (*lstms, *GRUS)) < 0.05
    for name in lstms:
        assert mark(after[name])[0] > 0.01
    for name in GRUS:
        assert np.expm1(mark(after[name])[1]) > -0.125
        assert mark(after[name])[1] < mark(after[name])[2] < 0
        assert mark(after[name])[1] < min(-0.04, mark(before[name])[1])
    for name in ("lstm-bias0", "lstm-bias1"):
        assert np.exp(mark(after[name])[1]) > 1 + 1 / 7
    assert mark(before["tanh-1"])[2] < -0.1  # more than in any gated cell


def test_23_where_the_gradient_vanishes_the_weights_get_that_of_the_last_steps():
    initial = gradients.load()["initial"]
    for name in ("tanh-0.5", "tanh-1", "relu-1", "lstm-bias0", "gru-bias0"):
        assert over_a_hundred_steps(name)[2] < 1e-8
        assert initial[name]["recent"][0] > 0.8  # of it comes from the last ten of 400
    for kind in ("gru", "lstm"):
        assert initial[f"{kind}-chrono"]["recent"][2] < 0.3


LENGTHS = (100, 200, 400, 750, 1000, 2000)


def ahead(problem, variant, of):
    """How one variant compares with another in docs/reach.md."""
    chosen = results.best(results.load("reach"))
    found = [chosen[problem, name] for name in (variant, of)]
    (test,) = compared([tuple(ranked(each.losses, each.solved_steps) for each in found)])
    return test


@pytest.mark.parametrize("length", LENGTHS)
def test_12_a_gru_is_ahead_of_an_lstm_unless_that_starts_with_long_memories(length):
    adding = ("adding", length)
    usual, chrono = (ahead(adding, name, "gru") for name in ("lstm", "lstm_chrono"))
    assert usual.better < 0.05
    assert usual.p_holm < 0.05
    assert chrono.better > 0.5
    assert ahead(adding, "lstm_chrono", "gru_chrono").better < 0.5


def test_12_with_chrono_both_reach_far_and_the_gru_needs_fewer_updates_to_keep_a_number():
    assert reach.reached("lstm", "adding") == 400
    for name in ("gru_chrono", "lstm_chrono"):
        assert reach.reached(name, "adding") >= 5000
    for length in (100, 300, 600):
        test = ahead(("copy-first", length), "lstm_chrono", "gru_chrono")
        assert test.better == 0
        assert test.p_holm < 0.05


def test_13_a_vanilla_rnn_does_not_learn_to_look_far_back():
    chosen = results.best(results.load("reach"))
    solved = lambda problem, name: chosen[problem, name].outcomes.solved
    for task, beyond in (("adding", 200), ("copy-first", 300)):
        assert solved((task, 100), "vanilla") == 0
        assert 0 < solved((task, 100), "vanilla_identity") <= 8
        assert solved((task, beyond), "vanilla_identity") == 0
    verdicts = results.best(results.load("tasks"))
    kept = {name: verdicts[("verdict-start", 100), name] for name in ("gru", "lstm", "vanilla")}
    assert {name: each.outcomes.solved for name, each in kept.items()} == {
        "gru": 0,
        "lstm": 0,
        "vanilla": 6,
    }


def test_17_a_gru_does_as_well_without_its_reset_gate_but_not_without_the_update_gate():
    against_full = results.compare("gates")
    adding, copy = ("adding", 100), ("copy", 20)
    for problem in (adding, copy):
        for name in ("open", "before"):
            assert against_full[problem, name].p_holm > 0.5  # cannot be told apart
        assert against_full[problem, "open"].better > 0.5
        for name in ("replace", "constant"):
            assert against_full[problem, name].better < 0.05
            assert against_full[problem, name].p_holm < 0.05
    for (problem, _), result in results.best(results.load("gates")).items():
        if problem == ("flip-flop", 100):
            assert result.outcomes.solved == 8  # it tells nobody apart


def test_18_tanh_is_ahead_of_relu_on_copy_only_and_a_linear_candidate_does_as_well():
    against_tanh = results.compare("activations")
    adding, copy = ("adding", 100), ("copy", 20)
    for name in ("relu", "softsign"):
        assert against_tanh[copy, name].better < 0.1
        assert against_tanh[copy, name].p_holm < 0.05
        assert against_tanh[adding, name].p_holm > 0.5  # cannot be told apart
    for problem in (adding, copy, ("flip-flop", 100)):
        assert against_tanh[problem, "linear"].p_holm > 0.5
    assert against_tanh[adding, "hard_gates"].better > 0.9
    assert against_tanh[adding, "hard_gates"].p_holm < 0.05
    assert against_tanh[copy, "hard_gates"].better < 0.5


WHERE = {"end": "at the end", "short": "at the start of 30 words", "chrono": "at the start, chrono"}


def over_the_plot(where, gate):
    """A gate of the verdict task: its mean over the plot and at its turn, one number a seed."""
    means = defaults.load()["gates"][WHERE[where]]["gates"][gate]["by_step"]
    return np.array(means["plot"]), np.array(means["turn"])


def test_14_where_the_end_decides_the_reset_gate_stays_and_the_update_gate_lets_go():
    plot, turn = over_the_plot("end", "reset")
    assert min(*plot, *turn) > 0.5
    assert np.abs(plot - turn).max() < 0.1
    assert over_the_plot("end", "update")[0].max() < 0.4  # 0.5 at its start


def test_15_where_the_beginning_decides_only_gates_that_start_near_1_are_near_1():
    trained = results.best(results.load("tasks"))
    assert trained[("verdict-start", 100), "gru"].outcomes.solved == 0
    assert over_the_plot("chrono", "update")[0].min() > 0.75
    short, end = over_the_plot("short", "update")[0], over_the_plot("end", "update")[0]
    assert end.max() < 0.45 < short.min()
    assert short.max() < 0.7


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_20_what_needs_no_order_and_what_needs_it_are_both_learned(cell):
    trained = results.best(results.load("tasks"))
    for task in ("means", "savings"):
        assert trained[(task, 30), cell].outcomes.solved == 8
    assert max(trained[("savings", 30), cell].losses) < Savings().unordered_loss / 100
