"""What is committed in results/: complete, said how to repeat, and chosen by the stated rule."""

import json
import math
import subprocess

import jax
import pytest

from configs import ablations
from configs import gradients as gradients_config
from experiments.runs import environment
from experiments.settings.schema import SCHEMA
from experiments.system.files import RunError
from scripts.paper import __main__ as documentation
from scripts.paper import gradients, merging, pages, performance, published, results, starts
from tests.sweeping import FEW


@pytest.fixture(params=[*results.SWEEPS, *sorted({row.sweep for row in published.rows()})])
def sweep(request):
    return request.param


def test_pages_show_what_results_hold():
    assert documentation.stale() == []


def test_a_page_that_does_not_is_named(monkeypatch, tmp_path):
    page = "docs/ablations.md"
    text = (documentation.ROOT / page).read_text()
    (tmp_path / "docs").mkdir()
    (tmp_path / page).write_text(text.replace("8/8 (68%..100%)", "8/8 (99%..100%)"))
    monkeypatch.setattr(documentation, "ROOT", tmp_path)
    monkeypatch.setattr(documentation, "PARTS", {page: documentation.PARTS[page]})
    monkeypatch.setattr(documentation, "WHOLE", {})
    monkeypatch.setattr(documentation, "CONFIGS", {})
    assert documentation.stale() == [page]


def test_a_page_without_its_marks_is_an_error():
    with pytest.raises(AssertionError, match="'gates'"):
        pages.fill("<!-- gates -->\n", {"gates": "table"})


def test_every_trial_says_what_it_takes_to_repeat_it(sweep):
    for each in results.load(sweep):
        row = each.row
        assert len(each.losses) == len(each.solved_steps) == row["seeds"]
        assert row["seeds"] >= (4 if row["trial"].startswith(FEW) else 8)
        python, _, rest = row["command"].partition(" ")
        assert python in ("python", "python3")
        assert rest.startswith("-m experiments.sweep --config=configs/sweeps/")
        assert row["command"].endswith(f"--only={row['trial']}")
        assert len(row["commit"]) == 40
        assert not row["modified"]
        assert {"jax", "flax"} <= set(row["packages"])
        assert row["device"]


def test_what_is_written_to_results_is_no_change_of_the_code(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "experiments" / "code.py"))
    for name in ("results/found.json", "experiments/code.py"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("1")
    name = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    for command in (["init", "-q"], ["add", "-A"], [*name, "commit", "-qm", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "results" / "found.json").write_text("2")
    assert not environment.environment()["modified"]
    (tmp_path / "experiments" / "code.py").write_text("2")
    assert environment.environment()["modified"]


BENCHMARKS = [f"benchmark_{name}" for name in (*performance.timed(), "population", "long")]


@pytest.mark.parametrize("file", ["gradients", "packing", "startup", *BENCHMARKS])
def test_every_measurement_says_what_it_takes_to_repeat_it(file):
    made = json.loads((results.RESULTS / f"{file}.json").read_text())["environment"]
    assert len(made["commit"]) == 40
    assert not made["modified"]
    assert made["command"].startswith("python -m ")
    assert {"jax", "flax"} <= set(made["packages"])
    assert made["processor"]


def test_gradients_were_measured_as_their_config_says():
    config = gradients_config.get_config()
    initial = gradients.load()["initial"]
    assert list(initial) == list(gradients_config.cells(1.0))
    for name, measured in initial.items():
        assert starts.start(measured["cell"], name) in starts.WORDS
        assert measured["seeds"] == config.population.seeds
        assert [measured["units"]] == list(config.model.hidden_sizes)
        assert measured["lags"][-1] == config.task.length


@pytest.mark.parametrize("sweep", results.ABLATIONS)
def test_matched_cells_are_within_four_per_cent(sweep):
    for each in results.load(sweep):
        assert math.isclose(each.row["parameters"], ablations.PARAMETERS, rel_tol=0.04)


def test_seeds_that_solved_the_task_are_below_its_target(sweep):
    for each in results.load(sweep):
        judged = each.row["summary"]["eval"]["loss"]["per_seed"]
        for loss, step in zip(judged, each.solved_steps, strict=True):
            if step is not None and each.problem[0].startswith("adding"):
                assert loss < each.row["train.target"]


def result(rate, losses, solved, variant="gru"):
    row = {
        "trial": f"adding-T100-{variant}-lr{rate}",
        "length": 100,
        "optimizer.learning_rate": rate,
        "budget": 2000,
        "summary": {"eval": {"loss": {"per_seed": losses}}, "solved_step": solved},
    }
    return results.Result(row)


@pytest.mark.quick
@pytest.mark.parametrize("order", [1, -1])
def test_the_better_rate_solves_more_seeds_then_sooner_then_has_the_lower_loss(order):
    place = ("adding", 100), "gru"
    more, fewer = result(0.01, [0.1, 0.2], [50, None]), result(0.001, [0.01, 0.02], [None, None])
    assert results.best([more, fewer][::order]) == {place: more}
    sooner, later = result(0.01, [0.1, 0.1], [50, 60]), result(0.001, [0.01, 0.01], [70, 80])
    assert results.best([sooner, later][::order]) == {place: sooner}
    low = result(0.01, [0.01, 0.02], [None, None])
    high = result(0.001, [0.1, 0.2], [None, None])
    assert results.best([low, high][::order]) == {place: low}


@pytest.mark.quick
def test_a_rate_is_chosen_on_validation_and_shown_on_test_examples():
    lower, higher = result(0.01, [0.1, 0.2], [None] * 2), result(0.001, [0.3, 0.4], [None] * 2)
    for each, losses in ((lower, [0.7, 0.8]), (higher, [0.1, 0.2])):
        each.row["summary"]["test"] = {"loss": {"per_seed": losses}, "correct": {"per_seed": [1]}}
    (chosen,) = results.best([higher, lower]).values()
    assert chosen is lower
    assert chosen.losses == [0.7, 0.8]
    assert chosen.outcomes.loss[1] == pytest.approx(0.75)
    assert chosen.right == 1


@pytest.mark.parametrize(
    ("schema", "solved", "told"),
    [(1, [None], 1), (2, [None, 100], 2), (2, [None], None), (3, [100], None)],
)
def test_a_schema_that_changes_nothing_for_a_run_is_not_told(schema, solved, told):
    row = {"schema": schema, "summary": {"solved_step": solved}}
    assert (f"config schema {told}." in pages.earlier([row])) == (told is not None)
    assert bool(pages.earlier([row])) == (told is not None)


@pytest.mark.parametrize("last", [{}, {"schema": 1}, {"schema": SCHEMA}])
def test_a_table_says_whether_its_runs_are_of_an_earlier_schema(monkeypatch, last):
    rows = [each.row | {"schema": SCHEMA} for each in results.load("gates")]
    del rows[-1]["schema"]  # as the first rows
    rows[-1] |= last
    monkeypatch.setattr(results, "load", lambda _: [results.Result(row) for row in rows])
    told = "These runs are of config schema 1. Since then, "
    assert (told in results.table("gates")) == (last != {"schema": SCHEMA})


@pytest.mark.parametrize("when", ["environment", "initial", "after"])
@pytest.mark.parametrize("change", [{"modified": True}, {"commit": None}])
def test_what_was_measured_by_uncommitted_code_is_refused(tmp_path, when, change):
    made = {"commit": "c" * 40, "modified": False}
    found = {"environment": made, "initial": {"a": made}, "after": {"a": made}}
    (tmp_path / "gradients.json").write_text(json.dumps(found))
    assert gradients.read(tmp_path) == found
    found[when] = made | change if when == "environment" else {"a": made | change}
    (tmp_path / "gradients.json").write_text(json.dumps(found))
    with pytest.raises(RunError, match="not committed"):
        gradients.read(tmp_path)


@pytest.fixture(name="landed")
def committed_results(monkeypatch, tmp_path):
    """Writes a folder's rows, of each trial its place of origin, and adds them to results/."""
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    monkeypatch.setattr(merging, "trials", lambda name: {"tiny": [*"abcd"]}[name])

    def land(trials, made="here", **changes):
        row = {"config": {"name": "tiny"}, "commit": "c" * 40, "modified": False, "status": "done"}
        rows = [row | {"trial": trial, "made": made} | changes for trial in trials]
        (tmp_path / "results.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
        results.collect([tmp_path])
        lines = (tmp_path / "tiny.jsonl").read_text().splitlines()
        return {each["trial"]: each for each in map(json.loads, lines)}

    return land


def test_what_was_run_by_uncommitted_code_is_refused(landed):
    for changes in ({"modified": True}, {"commit": None}):
        with pytest.raises(RunError, match="a was run by code that is not committed"):
            landed("a", **changes)
    assert not landed("a", commit=None, status="failed")  # before it had one; it is not taken


def test_parts_of_a_study_are_landed_one_by_one(landed, capsys, tmp_path):
    made = lambda found: [(name, row["made"]) for name, row in found.items()]
    assert made(landed("b")) == [("b", "here")]
    assert "tiny.jsonl: 1 trial: 1 added; " in capsys.readouterr().out
    assert made(landed("da", "there")) == [("a", "there"), ("b", "here"), ("d", "there")]
    assert "3 trials: 2 added, 1 kept; " in capsys.readouterr().out
    found = landed("ab", "new")
    assert made(found) == [("a", "new"), ("b", "new"), ("d", "there")]
    assert "config" not in found["a"]
    assert "3 trials: 2 replaced, 1 kept; " in capsys.readouterr().out
    assert made(landed("ac", "later", status="failed")) == made(found)
    assert f"3 trials: 3 kept; {tmp_path}: 0 of 2 have ended\n" in capsys.readouterr().out


def test_a_row_whose_trial_the_sweep_has_no_longer_is_dropped(landed, monkeypatch, capsys):
    landed("abd")
    monkeypatch.setattr(merging, "trials", lambda _: ["d", "c"])
    assert [*landed("cx")] == ["d", "c"]
    told = "1 added, 1 kept, 3 dropped, which the sweep does not have (a, b, x); "
    assert told in capsys.readouterr().out


def test_curves_in_a_large_file_have_few_points(landed, monkeypatch):
    curve = {"step": [*range(11)], "low": [*range(10, 21)]}
    assert landed("a", curve=curve)["a"]["curve"] == curve
    monkeypatch.setattr(merging, "POINTS", {"tiny": 3})
    assert landed("b", curve=curve)["b"]["curve"] == {"step": [0, 5, 10], "low": [10, 15, 20]}
    for count in (1, 2):
        short = {name: values[:count] for name, values in curve.items()}
        assert landed("c", curve=short)["c"]["curve"] == short


def test_committed_rows_are_trials_of_their_sweeps_in_their_order(sweep):
    rows = [each.row["trial"] for each in results.load(sweep)]
    assert [trial for trial in merging.trials(sweep) if trial in rows] == rows


def test_a_sweep_without_a_file_is_refused():
    assert merging.trials("gradients_trained")
    with pytest.raises(RunError, match=r"none.jsonl: configs/sweeps has no sweep of that name"):
        merging.trials("none")


@pytest.mark.quick
def test_a_problem_is_shown_once_all_of_its_trials_have_been_run_whose_turn_has_come(monkeypatch):
    after = {"a-T1-x-lr1": (), "a-T1-y-lr1": (), "a-T2-x-lr1": ("a-T1-x-lr1",)}
    after |= {"a-T2-y-lr1": ("a-T1-y-lr1",), "b-T1-x-lr1": ()}
    monkeypatch.setattr(merging, "trials", lambda _: after)
    row = lambda trial, step=None: {"trial": trial, "summary": {"solved_step": [None, step]}}
    names = lambda rows: [each["trial"] for each in merging.shown("", rows)]
    begun = [row("a-T1-x-lr1", 5)]
    assert names(begun) == []
    short = [*begun, row("a-T1-y-lr1")]
    assert names(short) == ["a-T1-x-lr1", "a-T1-y-lr1"], "x has still to be run at T2"
    both = [*short, row("a-T2-x-lr1")]
    assert names(both) == [*names(short), "a-T2-x-lr1"], "y did not solve T1"
    solved = [begun[0], row("a-T1-y-lr1", 7), row("a-T2-x-lr1", 9)]
    assert names(solved) == names(short)
    monkeypatch.setattr(merging, "trials", lambda _: dict.fromkeys(after, ()))
    some = [*begun, row("b-T1-x-lr1")]
    assert names(some) == ["b-T1-x-lr1"], "nor where no trial comes after another"


def test_an_environment_tells_the_precision_of_products():
    before = jax.config.values["jax_default_matmul_precision"]
    try:
        for precision in (None, "float32"):
            jax.config.update("jax_default_matmul_precision", precision)
            assert environment.environment()["precision"] == precision
    finally:
        jax.config.update("jax_default_matmul_precision", before)
