"""What docs/performance.md predicts and shows, and how it is measured."""

import itertools
import json
import os
import statistics

import jax
import pytest

from experiments.system.files import RunError
from gru_jax import CELLS, Adding, Experiment, GRUCell, SequenceModel, devices, training
from gru_jax.devices import make_mesh
from scripts.benchmark.contenders import Ours, Work
from scripts.benchmark.entrants import WORKLOADS
from scripts.endurance import startup
from scripts.paper import performance, temporaries
from tests.helpers import equations

pytestmark = pytest.mark.usefixtures("least_effort")


WORKS = [
    Work(16, 911, 10, 128),  # some steps are left over
    Work(64, 200, 3, 72),
    Work(16, 300, 64, 512),  # weights are much of it
]
KEPT = [name for name in CELLS if CELLS[name] in temporaries.KEPT]
# Each kind of work with two cells, each cell with two of them, and both ways of each cell.
PAIRS = [(cell, WORKS[(i + j) % 3]) for i, cell in enumerate(KEPT) for j in range(2)]


@pytest.mark.parametrize(
    ("cell", "work", "gradient"),
    [
        (*pair, gradient)
        for pair, gradient in zip(PAIRS, itertools.cycle(("batched", "recomputed")), strict=False)
    ],
    ids=str,
)
def test_the_formula_predicts_what_is_planned(monkeypatch, cell, work, gradient):
    monkeypatch.setattr(devices, "use_cpu_cores", lambda *_: None)  # the tests have theirs
    monkeypatch.setattr(Ours, "train", lambda *_: None)
    ours = Ours(cell, work, gradient=gradient)
    expected = ours.taken["devices"] * temporaries.predicted(cell, work, ours.taken)
    assert ours.temporary_bytes == pytest.approx(expected, rel=0.15)


def timed(milliseconds, mebibytes=1, **taken):
    seconds = [1e-3 * milliseconds * share for share in (0.9, 1, 5)]
    row = {"seconds": seconds, "temporary_bytes": mebibytes * 2**20, "peak_bytes": 2**30}
    return row | {"taken": {"devices": 2, "segment": 50, "gradient": "auto"} | taken}


def test_tables_show_medians_and_ratios(monkeypatch, tmp_path):
    rows = {
        "gru_jax": timed(10, 37),
        "floor": timed(8),
        "flax.nnx": timed(25, 90),
        "torch": timed(40),
    }
    rows |= {"gru_jax-plain": timed(16, 64), "gru_jax@12345678": timed(12, 70)}
    rows |= {"gru_jax-recomputed": timed(20, 22, gradient="recomputed")}
    rows |= {"flax.nnx-in-scan": timed(20), "gru_jax-reset-before": timed(11)}
    rows |= {"gru_jax-reset-before-plain": timed(22)}
    rows |= {"gru_jax-1-core": timed(18), "gru_jax-8-seeds": timed(72)}
    made = {
        "command": "COMMAND",
        "commit": "c" * 40,
        "processor": "CPU",
        "device": "cpu",
        "python": "3",
        "packages": {},
    }
    found = {"workload": "A", **vars(WORKLOADS["A"]), "contenders": rows}
    rows |= {"gru_jax-bfloat16": timed(5)}
    for name in (*performance.timed(), "population", "long", "bfloat16"):
        cell = name if name in CELLS else performance.timed()[0]
        text = json.dumps({"results": [{"cell": cell, **found}], "environment": made})
        (tmp_path / f"benchmark_{name}.json").write_text(text)
    monkeypatch.setattr(performance.results, "RESULTS", tmp_path)
    monkeypatch.setattr(performance.accelerator, "RESULTS", tmp_path / "accelerator.json")
    shown = performance.parts()
    assert "| GRU | A | 10.0 (9.0..50.0) | 1.25 | 2.50 |  |  |  |  | 4.00 |" in shown["versus"]
    assert "`COMMAND` at commit cccccccc, on CPU" in shown["versus"]
    assert "| GRU | A | 2.00, 64 | 1.25, 37 | 2.50, 22 | 90 |" in shown["paths"]
    assert "| GRU | A | 1.20 | 70 | 37 |" in shown["derived"]
    assert "| cell | workload | flax.nnx | ours, reset-before |" in shown["foreign"]
    assert "| GRU | A | 1.25 | 2.00 |" in shown["foreign"]
    assert "| A | 18.0 | 72.0 | 2.00 |" in shown["population"]
    assert "| 220 | 20 | 90.9 | 22 | 54 | 1024 |" in shown["long"]
    assert "| A | 10.0 | 5.0 | 2.00 |" in shown["bfloat16"]
    assert "none was available" in shown["accelerated"]
    ways = {"scan": [0.01, 0.03], "associative": [0.02, 0.03], "chunked": [0.04, 0.06]}
    work = {"cell": "min_gru", "batch": 8, "units": 16, "length": 2000} | ways
    made["device"] = "a GPU"
    found = {"results": [{"cell": "gru", **found}], "works": [work], "environment": made}
    found["results"].append(found["results"][0] | {"contenders": {"torch": timed(7)}})
    found["seconds"] = 100
    (tmp_path / "accelerator.json").write_text(json.dumps(found))
    shown = performance.accelerated()
    header, _, ours, torch, *_ = shown.splitlines()
    place = {name: at for at, name in enumerate(header.split(" | "))}
    cells = [line.split(" | ") for line in (ours, torch)]
    assert [line[place["auto"]] for line in cells] == ["10.0", ""]
    assert [line[place["torch"]] for line in cells] == ["40.0", "7.0"]
    assert "| minGRU | 8 | 16 | 2,000 | 20.00 | 0.75 | 0.38 |" in shown
    assert "in 2 minutes: `COMMAND` at commit cccccccc, on a GPU, Python" in shown


def test_the_first_metric_is_waited_for(tmp_path):
    options = ("--config.task.length=5", "--config.population.seeds=1", "--config.train.steps=100")
    assert 1 < startup.first_metric(tmp_path, "run", *options) < startup.PATIENCE
    assert list((tmp_path / "cache").iterdir())


def test_a_run_that_ends_without_a_metric_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"no metric from .*--config.task.length=-1"):
        startup.first_metric(tmp_path, "run", "--config.task.length=-1")


def test_xla_has_one_thread_a_device():
    assert int(os.environ["NPROC"]) == jax.device_count() == 4  # of conftest.py


@pytest.mark.parametrize(("seeds", "meetings"), [((0,), 1), ((0, 1), 1), ((0, 1, 2, 3), 0)])
def test_devices_that_share_a_batch_meet_once_a_step(seeds, meetings):
    build = lambda rngs: SequenceModel(GRUCell, 2, 1, hidden_sizes=(5,), readout="last", rngs=rngs)
    experiment = Experiment(Adding(6), build, batch_size=4, evaluation_examples=4)
    mesh = make_mesh(len(seeds), 4)
    each = (1e-3,) * len(seeds), (1.0,) * len(seeds)
    state = training.init(experiment, mesh, seeds, *each)
    program = jax.make_jaxpr(lambda state: training.train_chunk(experiment, mesh, state))(state)
    sums = list(equations(program.jaxpr, ("psum", "psum_invariant")))
    assert [len(found.invars) for found in sums] == [1] * meetings


def test_what_was_measured_on_a_gpu():
    found = json.loads(performance.accelerator.RESULTS.read_text())
    assert [each["workload"] for each in found["results"]] == [*WORKLOADS]
    seconds = {
        each["workload"]: {
            name: performance.milliseconds(row) for name, row in each["contenders"].items()
        }
        for each in found["results"]
    }
    for name, taken in seconds.items():
        ours = {row: ms for row, ms in taken.items() if row.startswith(performance.OURS)}
        assert min(ours, key=lambda row: ours[row]) == "gru_jax-unroll-4"
        assert ours["gru_jax-unroll-4"] < taken["flax.nnx-chunk"] < ours["gru_jax-plain"]
        assert ours["gru_jax-plain"] < ours["gru_jax"]
        assert ours["gru_jax-graphs"] > 0.85 * ours["gru_jax"]
        assert ours["gru_jax-bfloat16"] > ours["gru_jax-unroll-4"]
        behind = ours["gru_jax-unroll-4"] / taken["torch"]
        assert (1.9 < behind < 6) if WORKLOADS[name].hidden <= 128 else behind < 1
    small, here = seconds["E"], performance.load(performance.timed()[0])
    (cores,) = (each for each in here["results"] if each["workload"] == "E")
    beside = performance.milliseconds(cores["contenders"][performance.OURS])
    assert 0.4 < small["gru_jax-unroll-4"] / beside < 0.6
    for work in found["works"]:
        scan, associative, chunked = (
            statistics.median(work[way]) for way in ("scan", "associative", "chunked")
        )
        assert 60 < scan / associative < 130
        assert chunked > 2 * associative
