"""A run outlives what is added to the code later: a field, a cell, an option.

tests/golden/sweep was left by `python -m experiments.sweep --config=old.py --workdir=sweep` at the
commit that its environment.json names, with `get_config` and `sweep` as below. One trial of it was
killed after its first checkpoint. What is made anew was taken out. tests/golden/schema1 and schema2
were left in the same way by commits whose configs were of these schemas.
"""

import copy
import dataclasses
import inspect
import json
import shutil

import pytest

from configs import adding, common
from experiments import gradients
from experiments.evaluate import evaluate
from experiments.measurements import gradients as measurements
from experiments.reports.page import write_report
from experiments.reports.results import write_results
from experiments.runs import load
from experiments.runs.records import read_config, read_metrics
from experiments.settings import resolution as settings
from experiments.settings.resolution import resolve
from experiments.settings.trials import described
from experiments.sweeps.folder import SweepFolder
from experiments.sweeps.worker import train_trials
from experiments.system.files import RunError
from experiments.train import _finished, train
from experiments.training.loop import train_settings
from gru_jax import CELLS, TASKS, FieldError, Optimizer, VanillaCell
from tests.programs import ROOT, one_line, program

pytestmark = pytest.mark.usefixtures("least_effort")

GOLDEN = ROOT / "tests" / "golden"
OLD = GOLDEN / "sweep"
NAMES = {"gru": "old-5c338d98", "lstm": "old-b6377f50"}


def get_config():
    config = adding.get_config()
    config.name = "old"
    config.task.length = 4
    config.model.hidden_sizes = (2,)
    config.population.seeds = 2
    config.train.steps = 40
    config.train.log_every = 10
    config.train.checkpoint_every = 20
    config.train.batch_size = 4
    config.train.evaluation_examples = 8
    return config


def sweep(add):
    add("gru", {"model.keeping_bias": 1.0})
    add("lstm", {"model.cell": "lstm"}, reference="gru")


def trials():
    """As the same file describes them today."""
    return {trial.name: trial for trial in described(get_config().to_dict(), sweep)}


def with_option(cell):
    """The cell as a later version may have it, with one more option."""

    def init(self, *args, novelty=0.0, **options):
        cell.__init__(self, *args, **options)
        self.novelty = novelty

    known = inspect.signature(cell.__init__)
    novelty = inspect.signature(init).parameters["novelty"]
    *named, rest = known.parameters.values()
    init.__signature__ = known.replace(parameters=[*named, novelty, rest])
    return type(cell.__name__, (cell,), {"__init__": init})


@dataclasses.dataclass(frozen=True)
class LaterOptimizer(Optimizer):
    power: float = 1.0


@dataclasses.dataclass(frozen=True)
class LaterAdding(TASKS["adding"]):
    noise: float = 0.0


def add_to_the_code(monkeypatch):
    """A field, an option of every cell and of a task, a cell and a task."""
    before = common.get_config

    def with_field():
        config = before()
        config.optimizer.power = 1.0
        return config

    monkeypatch.setattr(common, "get_config", with_field)
    monkeypatch.setattr(settings, "Optimizer", LaterOptimizer)
    for name, cell in [*CELLS.items(), ("later", CELLS["gru"])]:
        monkeypatch.setitem(CELLS, name, with_option(cell))
    monkeypatch.setitem(TASKS, "adding", LaterAdding)
    monkeypatch.setitem(TASKS, "later", LaterAdding)


@pytest.fixture(params=["as it is", "later"])
def folder(request, tmp_path, monkeypatch):
    """A copy of the old sweep; in the code as it is, and with what may be added to it."""
    if request.param == "later":
        add_to_the_code(monkeypatch)
        assert "novelty" in common.get_config().model.lstm
    return SweepFolder(shutil.copytree(OLD, tmp_path / "sweep"))


def test_its_name_stays(folder):
    for name, expected in NAMES.items():
        assert trials()[name].settings.name == expected
        assert resolve(read_config(folder.workdir(name))).name == expected
        assert folder.trials()[name].settings.name == expected


def test_it_is_loaded_and_evaluated(folder):
    run = load(folder.workdir("lstm"))
    measured = run.summary["eval"]["loss"]["per_seed"]
    assert evaluate(run)["loss"] == pytest.approx(measured, rel=1e-4)
    assert run.settings.config == trials()["lstm"].settings.config
    assert _finished(folder.workdir("lstm"), trials()["lstm"].settings, extend=False)


def test_it_is_resumed(folder):
    workdir = folder.workdir("gru")
    config, lines = (workdir / "config.json").read_bytes(), read_metrics(workdir)
    run = train(trials()["gru"].settings.config, str(workdir), quiet=True)
    assert run.summary["step"] == 40
    assert (workdir / "config.json").read_bytes() == config
    assert [row for row in run.metrics if row["step"] <= 20] == lines[:8]
    resumed, expected = ([row["loss"] for row in rows] for rows in (run.metrics, lines))
    assert resumed == pytest.approx(expected, rel=1e-3)


def test_its_sweep_goes_on_and_is_reported(folder):
    today = list(trials().values())
    folder.open(today)
    train_trials(folder, {"gru": (today[0].settings, folder.workdir("gru"))}, lambda: 0)
    write_results(folder)
    rows = [json.loads(line) for line in (folder.path / "results.jsonl").read_text().splitlines()]
    assert [(row["trial"], row["status"], row["step"]) for row in rows] == [
        ("gru", "done", 40),
        ("lstm", "done", 40),
    ]
    assert rows[1]["reference"] == "gru"
    assert 0 <= rows[1]["better"] <= 1
    for path in (folder.path, folder.workdir("lstm")):
        write_report([path], path / "report.html", "again")
        assert "adding, T = 4" in (path / "report.html").read_text()


def test_what_differs_is_still_refused(folder):
    config = get_config()
    config.model.keeping_bias = 2.0
    config.train.batch_size = 8
    with pytest.raises(RunError) as caught:
        train(config, str(folder.workdir("gru")), quiet=True)
    assert str(caught.value).endswith(
        "config.model.keeping_bias is 1.0 there and 2.0 here; "
        "config.train.batch_size is 4 there and 8 here"
    )
    with pytest.raises(RunError, match=r"run: config.model.cell is 'lstm' there and 'gru' here$"):
        train(get_config(), str(folder.workdir("lstm")), quiet=True)


def test_a_field_that_was_added_is_compared_too(tmp_path, monkeypatch):
    add_to_the_code(monkeypatch)
    workdir = shutil.copytree(OLD / "trials" / "lstm", tmp_path / "run")
    for path, field in (("optimizer", "power"), ("model.lstm", "novelty"), ("task", "noise")):
        config = copy.deepcopy(trials()["lstm"].settings.config)
        section = config
        for name in path.split("."):
            section = section[name]
        old = section[field]
        section[field] = 5.0
        message = rf"run: config.{path}.{field} is {old} there and 5.0 here$"
        with pytest.raises(RunError, match=message):
            train(config, str(workdir), quiet=True)


def test_what_was_taken_away_is_one_line(tmp_path, monkeypatch):
    """As where a newer version has left the run."""
    with monkeypatch.context() as later:
        add_to_the_code(later)
        config = trials()["lstm"].settings.config
    workdir = shutil.copytree(OLD / "trials" / "lstm", tmp_path / "run")
    (workdir / "config.json").write_text(json.dumps(config))
    with pytest.raises(FieldError, match=r"^config.model.lstm.novelty = 0.0: must be left out"):
        load(workdir)
    (workdir / "config.json").write_text(json.dumps({**config, "schema": 4}))
    with pytest.raises(FieldError, match=r"^config.schema = 4: must be in 1..3: another version"):
        load(workdir)


@pytest.fixture
def first(tmp_path):
    """A copy of the sweep whose random streams were others."""
    return SweepFolder(shutil.copytree(GOLDEN / "schema1", tmp_path / "first"))


@pytest.fixture(params=[1, 2])
def earlier(request, tmp_path):
    """A copy of a sweep of an earlier schema, and its number."""
    copied = shutil.copytree(GOLDEN / f"schema{request.param}", tmp_path / "earlier")
    return SweepFolder(copied), request.param


def test_a_run_of_an_earlier_schema_is_loaded_evaluated_and_reported(earlier):
    folder, schema = earlier
    run = load(folder.workdir("lstm"))
    assert run.settings.config["schema"] == schema
    losses = evaluate(run)["loss"]
    # In schema 1, evaluations took other examples.
    tolerance = 0.9 if schema == 1 else 1e-4
    assert losses == pytest.approx(run.summary["eval"]["loss"]["per_seed"], rel=tolerance)
    write_results(folder)
    (row,) = map(json.loads, (folder.path / "results.jsonl").read_text().splitlines())
    assert (row["trial"], row["schema"]) == ("lstm", schema)
    write_report([folder.path], folder.path / "report.html", "again")
    assert "adding, T = 4" in (folder.path / "report.html").read_text()


def test_a_run_of_schema_1_has_the_start_that_it_had(first):
    model = {name: first.trials()[name].settings.config["model"] for name in NAMES}
    assert (model["gru"]["keeping_bias"], model["gru"]["chrono_max"]) == (1.0, 0.0)
    assert model["lstm"]["keeping_bias"] is None
    stored = json.loads((first.workdir("lstm") / "config.json").read_text())
    stored["model"]["lstm"] |= {"chrono_max": 9.0}
    assert resolve(stored).config["model"]["chrono_max"] == 9.0
    stored["model"]["lstm"] |= {"chrono_max": None, "forget_bias": 0.0}
    assert resolve(stored).config["model"]["keeping_bias"] == 0.0


REFUSED = r"holds a run of schema \d, which can be read but .* target; start in another folder$"


def test_a_run_of_an_earlier_schema_does_not_go_on(earlier):
    first, _ = earlier
    workdir = first.workdir("gru")
    files = {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()}
    for config in (trials()["gru"].settings.config, first.trials()["gru"].settings.config):
        with pytest.raises(RunError, match=REFUSED):
            train(config, str(workdir), quiet=True)
        with pytest.raises(RunError, match=REFUSED):
            train_settings(resolve(config), workdir, quiet=True, extend=True)
    assert {path: path.read_bytes() for path in workdir.rglob("*") if path.is_file()} == files
    with pytest.raises(RunError, match=REFUSED):
        _finished(first.workdir("lstm"), trials()["lstm"].settings, extend=False)
    with pytest.raises(RunError, match=REFUSED):
        first.open(list(trials().values()))


def test_a_trial_of_an_earlier_schema_that_has_not_begun_does_not_begin(earlier):
    """As a job of a cluster would that is queued again after the code has changed."""
    first, _ = earlier
    workdir = first.workdir("later")
    with pytest.raises(RunError, match=REFUSED):
        train(first.trials()["gru"].settings.config, str(workdir), quiet=True)
    assert not workdir.exists()


def test_gradients_of_a_run_of_schema_1_before_training_are_not_measured(first, tmp_path):
    """Its start was another one."""
    config = ROOT / "configs" / "gradients.py"
    options = [f"--config={config}", f"--runs={first.path}", f"--workdir={tmp_path / 'out'}"]
    refused = program("gradients", *options, expect=2)
    assert one_line(refused.stderr)
    assert "holds a run of schema 1" in refused.stderr


def test_the_first_configs_had_no_schema_and_a_section_for_every_cell(first):
    workdir = first.workdir("lstm")
    config = json.loads((workdir / "config.json").read_text())
    expected = load(workdir).settings
    del config["schema"]
    config["model"] |= {"gru": {"chrono_max": 100.0, "gone": 3}, "vanilla": {}}
    (workdir / "config.json").write_text(json.dumps(config))
    assert load(workdir).settings.config == expected.config


def test_an_option_of_ones_own_that_schema_1_had_elsewhere_stays(monkeypatch):
    class Mine(VanillaCell):
        def __init__(self, *sizes, forget_bias: float = 1.0, rngs, **options):
            super().__init__(*sizes, rngs=rngs, **options)
            self.forget_bias = forget_bias

    monkeypatch.setitem(CELLS, "mine", Mine)
    config = adding.get_config()
    config.model.cell = "mine"
    config.model.mine.forget_bias = 3.0
    stored = resolve(config).config | {"schema": 1}
    model = resolve(stored).config["model"]
    assert model["mine"]["forget_bias"] == 3.0
    assert model["keeping_bias"] is None


def test_measurements_of_gradients_go_on(tmp_path, monkeypatch):
    def measure():
        subjects = [
            gradients.Subject(gradients.INITIAL, name, trial.settings)
            for name, trial in trials().items()
        ]
        return gradients._measured(tmp_path, subjects, {"inputs": 1})

    monkeypatch.setattr(measurements, "measure", lambda *_, **__: {"horizon": [2.0]})
    before = measure()
    add_to_the_code(monkeypatch)
    monkeypatch.setattr(measurements, "measure", lambda *_, **__: 1 / 0)
    assert measure() == before
