"""The benchmark: contenders do the same work, take turns, and say what they measured."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from jax.extend.core import jaxprs_in_params

from gru_jax import devices
from scripts.benchmark.contenders import LeftOutError, Work, reference
from scripts.benchmark.entrants import CONTENDERS, FLOORS, WORKLOADS
from scripts.benchmark.turns import ALL
from tests.helpers import CLASSIC
from tests.programs import ROOT, one_line, program

pytestmark = pytest.mark.usefixtures("least_effort")

WORK = Work(batch=3, time=5, features=2, hidden=4)
JAX_PEERS = ("flax.nnx", "flax.linen", "haiku", "flax.nnx-in-scan", "haiku-in-scan")
AT_BEST = ("flax.nnx-chunk", "flax.linen-cores", "haiku-chunk", "haiku-cores")


def benchmark(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "scripts.benchmark", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


@pytest.mark.parametrize("name", JAX_PEERS + AT_BEST)
@pytest.mark.parametrize("cell", CLASSIC)
def test_peers_start_from_the_same_loss_and_gradient(cell, name, monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)  # the tests have theirs
    peer = ALL[name](cell, WORK)
    loss, gradient = reference(cell, WORK, **peer.otherwise)
    np.testing.assert_allclose(peer.loss, loss, rtol=1e-5)
    np.testing.assert_allclose(peer.gradient, gradient, atol=1e-6 * np.abs(gradient).max())
    assert (gradient != 0).mean() > 0.7
    before = peer.state[0]["V"].copy()
    peer.train(3)
    assert (before != peer.state[0]["V"]).any()


def test_what_all_are_compared_with_is_the_plain_scan(monkeypatch):
    work = Work(batch=2, time=9, features=2, hidden=16)
    expected = reference("gru", work, "batched")
    monkeypatch.setattr("gru_jax.bptt.loops._segmented", None)
    loss, gradient = reference("gru", work)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-5)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-5 * np.abs(gradient).max())


def test_a_peer_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "haiku", None)
    with pytest.raises(LeftOutError, match="haiku"):
        CONTENDERS["haiku"]("gru", WORK)


@pytest.mark.parametrize("name", ["haiku-chunk", "flax.nnx-cores"])
def test_a_peer_at_its_best_learns_what_it_learns_as_documented(name, monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)
    work = Work(batch=4, time=5, features=2, hidden=4)  # which four devices share
    found = []
    for each in (name, name.partition("-")[0]):
        peer = ALL[each]("gru", work)
        peer.train(20)
        found.append(jax.tree.map(np.asarray, peer.state[0]))
    assert peer.together == 1
    for one, other in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", [*FLOORS][:-1])
@pytest.mark.parametrize(("cell", "gates"), [("gru", 3), ("lstm", 4), ("vanilla", 1)])
def test_the_floor_makes_the_products_of_a_step_and_no_others(cell, gates, name, monkeypatch):
    """Of the inputs forward and dW; of the states forward, dU and dh."""
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)
    floor = CONTENDERS[name](cell, WORK)
    program = jax.make_jaxpr(floor.step)(*floor.arrays).jaxpr
    of_inputs, of_states = WORK.features * gates * WORK.hidden, WORK.hidden * gates * WORK.hidden
    assert multiplied(program) == WORK.batch * WORK.time * (2 * of_inputs + 3 * of_states)


def multiplied(program, times=1):
    """How many numbers the matrix products of a program multiply, on all devices."""
    found = 0
    for each in program.eqns:
        if each.primitive.name == "dot_general":
            inner = each.invars[0].aval.shape[each.params["dimension_numbers"][0][0][0]]
            found += times * each.outvars[0].aval.size * inner
        repeated = times * each.params.get("length", 1)
        if "mesh" in each.params:
            repeated *= each.params["mesh"].size
        for inside in jaxprs_in_params(each.params):
            found += multiplied(inside, repeated)
    return found


@pytest.mark.parametrize("cell", CLASSIC)
def test_all_floors_have_the_same_products(cell, monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)
    work = Work(batch=4, time=7, features=2, hidden=5)
    expected = CONTENDERS["floor-numpy"](cell, work)
    expected.train(1)
    x_w, h_u, of_w, of_u, back = (product for *_, product in expected.products)
    for name in [*FLOORS][:-1]:
        floor = CONTENDERS[name](cell, work)
        rows = [np.asarray(each) for each in floor.step(*floor.arrays)]
        together = lambda values, like: values.reshape(-1, *like.shape).sum(axis=0)
        if "segmented" in name:
            outputs, slopes = rows[:3], rows[3:]
            outputs = [each.reshape(-1, each.shape[-1]) for each in outputs]
        else:
            outputs, slopes = [rows[0], rows[1], rows[4]], rows[2:4]
        for value, like in zip(outputs, (x_w, h_u, back), strict=True):
            np.testing.assert_allclose(value, like, rtol=1e-4, atol=1e-4)
        for value, like in zip(slopes, (of_w, of_u), strict=True):
            np.testing.assert_allclose(together(value, like), like, rtol=1e-4, atol=1e-4)


def test_contenders_take_turns_and_deviate_by_rounding_only(tmp_path):
    contenders = ("gru_jax", "flax.nnx", "haiku", "floor")
    out = benchmark(
        "--workloads=3/5/2/4",
        "--repeats=2",
        "--seconds=0",
        f"--contenders={','.join(contenders)}",
        f"--output={tmp_path / 'out.json'}",
    )
    assert out.returncode == 0, out.stderr
    assert all(name in out.stdout for name in contenders)
    found = json.loads((tmp_path / "out.json").read_text())
    assert {"jax", "dm-haiku"} <= set(found["environment"]["packages"])
    (result,) = found["results"]
    assert list(result["contenders"]) == list(contenders)
    for name, row in result["contenders"].items():
        assert len(row["seconds"]) == 2
        assert min(row["seconds"]) > 0
        assert row["peak_bytes"] > 2**20
        assert row["temporary_bytes"] >= 0
        if name != "floor":
            assert row["loss_deviation"] < 1e-5
            assert row["gradient_deviation"] < 1e-5


def test_another_checkout_takes_part():
    out = benchmark(
        "--workloads=3/5/2/4",
        "--repeats=1",
        "--seconds=0",
        "--contenders=gru_jax",
        f"--beside={ROOT}",
    )
    assert out.returncode == 0, out.stderr
    commit = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert f"gru_jax@{commit.stdout.strip()} " in out.stdout


def test_a_cell_without_an_option_is_left_out(monkeypatch):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)  # the tests have theirs
    with pytest.raises(LeftOutError, match="vanilla has no such option: reset_after"):
        ALL["gru_jax-reset-before"]("vanilla", WORK)
    before = ALL["gru_jax-reset-before-plain"]("gru", WORK)
    loss, _ = reference("gru", WORK, reset_after=False)
    assert before.loss == loss != reference("gru", WORK)[0]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--workloads=Z", f"--workloads = 'Z': must be one of {', '.join(WORKLOADS)}, or sizes"),
        ("--workloads=1/2/3/0", "--workloads = '1/2/3/0'"),
        ("--cells=gruu", "did you mean 'gru'"),
        ("--contenders=pytorch", "--contenders = 'pytorch'"),
        ("--repeats=0", "--repeats = 0"),
        ("--beside=nowhere", "--beside = 'nowhere': must be a checkout of this project"),
    ],
)
def test_bad_options_take_one_line(option, message):
    out = program("scripts.benchmark", option, expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr
