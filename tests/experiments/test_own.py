"""A cell and a task of one's own, from a file outside the repository, in every program."""

import dataclasses
import json
import math
import os
import re
import shutil
from unittest import mock

import pytest
from flax import nnx
from jax.nn.initializers import Initializer

from configs import adding, common
from configs.variants import values
from experiments.evaluate import evaluate
from experiments.runs import load
from experiments.settings.resolution import resolve
from experiments.settings.trials import described, matched
from experiments.sweeps.folder import SweepFolder
from experiments.sweeps.launchers import SlurmLauncher
from experiments.system import own
from experiments.system.files import RunError
from gru_jax import CELLS, TASKS, Adding, Cell, FieldError, GRUCell
from gru_jax.initializers import Chrono
from tests.programs import ROOT, one_line, program, tiny, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

(CODE,) = re.findall(
    r"^## A cell of your own\n.*?```python\n(.*?)```",
    (ROOT / "docs" / "python.md").read_text(),
    re.MULTILINE | re.DOTALL,
)
TASK = """
from __future__ import annotations

import dataclasses

from gru_jax import TASKS, Adding


@dataclasses.dataclass(frozen=True)
class Scaled(Adding):
    factor: float = 1.0
    factors: tuple[float, ...] = (1.0, 2.0)

    def example(self, key):
        example = super().example(key)
        return dataclasses.replace(example, targets=example.targets * self.factor * self.factors[0])


TASKS["scaled"] = Scaled
"""
MISTAKE = """
import jax.numpy


class Mistaken(MineCell):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.wrong = jax.numpy.zeros(3) + jax.numpy.zeros(4)


CELLS["mine"] = Mistaken
"""
SWEEP = """
def sweep(add):
    add("gru", {"model.cell": "gru"})
    add("mine", {}, parameters=100, reference="gru")
    add("scaled", {"task": {"name": "scaled", "length": 5, "factor": 3.0}})
"""
NEEDED = "must be registered first: import the file that says"


@pytest.fixture(autouse=True)
def registered():
    """What a test registers is forgotten after it."""
    before = dict(CELLS), dict(TASKS)
    yield
    for registry, entries in zip((CELLS, TASKS), before, strict=True):
        registry.clear()
        registry.update(entries)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The page's file, a task's, and a sweep of both."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine.py").write_text(CODE)
    (folder / "task.py").write_text(TASK)
    # What comes from the future has to stand at the top.
    (folder / "sweep.py").write_text(TASK + CODE + SWEEP)
    return folder


@pytest.fixture(scope="module")
def run(files):
    """A run of the page's cell, by the page's command."""
    folder = files / "run"
    config = f"--config={files / 'mine.py'}"
    program("train", config, "--config.model.mine.slope=2.0", *tiny(), f"--workdir={folder}")
    return folder


def test_its_gate_starts_at_a_number_or_by_chrono(files):
    own.imported(str(files / "mine.py"))
    config = adding.get_config()
    config.model.cell = "mine"
    config.model.keeping_bias = 2.0
    assert (only_cell(config).forget.bias[...] == 2.0).all()
    config.model.keeping_bias = None
    config.model.chrono_max = 20.0
    assert 0 < only_cell(config).forget.bias[...].max() < math.log(19)


def test_it_is_resumed(files, run, tmp_path):
    copied = shutil.copytree(run, tmp_path / "run")
    options = [*tiny(**{"train.steps": 60}), "--config.model.mine.slope=2.0", "--extend"]
    program("train", f"--config={files / 'mine.py'}", f"--workdir={copied}", *options)
    own.imported(str(files / "mine.py"))
    assert load(copied).summary["step"] == 60
    stored = json.loads((copied / "config.json").read_text())
    assert stored["model"]["mine"] == {"slope": 2.0}
    assert "mine.py" not in json.dumps(stored)


def test_it_is_loaded_where_it_is_registered(files, run):
    with pytest.raises(FieldError, match=rf"^config.model.cell = 'mine': {NEEDED} CELLS\['mine'\]"):
        load(run)
    own.imported(str(files / "mine.py"))
    first = load(run)
    own.imported(str(files / "mine.py"))  # once more does no harm
    assert type(first.models[0].layers[0].forward.cell).__name__ == "MineCell"
    assert evaluate(load(run)) == evaluate(first)


@pytest.mark.parametrize("name", ["evaluate", "gates"])
def test_programs_that_read_a_run_are_told_what_to_import(files, run, name):
    refused = program(name, f"--run={run}", expect=2)
    assert one_line(refused.stderr)
    assert f"config.model.cell = 'mine': {NEEDED} CELLS['mine'] = ..." in refused.stderr
    assert "(--import=FILE)" in refused.stderr
    shown = program(name, f"--run={run}", "--import", str(files / "mine.py"))
    assert "│" in shown.stdout


def test_gradients_before_and_after_training(files, run, tmp_path):
    (tmp_path / "starts.py").write_text(
        "from tests.programs import tiny_config as get_config\n"
        'def sweep(add):\n    add("gru", {})\n    add("mine", {"model.cell": "mine"})\n'
    )
    options = [f"--config={tmp_path / 'starts.py'}", f"--runs={run}", "--inputs=1"]
    found = ["--exponents=1", f"--workdir={tmp_path / 'out'}", f"--import={files / 'mine.py'}"]
    program("gradients", *options, *found)
    measured = json.loads((tmp_path / "out" / "gradients.json").read_text())
    assert measured["initial"].keys() == {"gru", "mine"}
    assert measured["after"]["run"]["cell"] == "mine"


@pytest.fixture(scope="module")
def swept(files):
    folder = files / "swept"
    config = f"--config={files / 'sweep.py'}"
    return folder, program("sweep", config, f"--workdir={folder}", *tiny(), "--workers=1")


def test_a_sweep_tells_its_workers(swept, files):
    folder, out = swept
    assert "3 done, 0 running, 0 failed" in out.stdout
    with pytest.raises(FieldError, match=NEEDED):
        SweepFolder(folder).trials()
    again = re.findall(r"experiments\.report [^<]*", (folder / "report.html").read_text())
    assert any(f"--import={files / 'sweep.py'}" in command for command in again)
    own.imported(str(files / "sweep.py"))
    trials = SweepFolder(folder).trials()
    assert trials["mine"].settings.config["model"]["cell"] == "mine"
    assert trials["scaled"].settings.experiment.task.factors == (1.0, 2.0)
    assert evaluate(load(folder / "trials" / "scaled"))


def test_a_report_is_told_what_to_import(swept, files, tmp_path):
    arguments = (str(swept[0]), f"--output={tmp_path / 'page.html'}")
    refused = program("report", *arguments, expect=2)
    assert one_line(refused.stderr)
    assert NEEDED in refused.stderr
    program("report", *arguments, f"--import={files / 'sweep.py'}")
    assert "scaled" in (tmp_path / "page.html").read_text()


def test_jobs_of_a_cluster_import_as_well(tmp_path, monkeypatch):
    for name in ("sbatch", "squeue"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    launcher = SlurmLauncher(SweepFolder(tmp_path), {}, ["--import=/x/mine.py"])
    (tmp_path / "slurm").mkdir()
    submitit, started = mock.MagicMock(), mock.MagicMock()
    submitit.AutoExecutor().submit.return_value.job_id = "7"
    monkeypatch.setattr(launcher, "_submitit", submitit)
    rates = values("optimizer.learning_rate", (0.1, 0.2), "lr").items()
    launcher.start(described(tiny_config().to_dict(), lambda add: [add(*each) for each in rates]))
    (job,) = submitit.AutoExecutor().submit.call_args.args
    monkeypatch.setattr("subprocess.Popen", started)
    job()
    (command,) = started.call_args.args
    assert command[-1] == "--import=/x/mine.py"
    assert "--trials=lr0.1,lr0.2" in command


def test_workers_import_nothing_where_all_is_the_librarys(tmp_path):
    assert own.flags(["mine.py"]) == []
    CELLS["mine"] = type("MineCell", (GRUCell,), {"__module__": "mine"})
    assert own.flags([str(tmp_path / "mine.py")]) == [f"--import={tmp_path / 'mine.py'}"]


def test_a_name_of_the_librarys_may_be_taken(tmp_path):
    file = tmp_path / "taken.py"
    taken = CODE.replace('"mine"', '"gru"').replace("mine.", "gru.")
    file.write_text(taken + '\ndef sweep(add):\n    add("a", {"model.gru.slope": 2.0})\n')
    out = program("sweep", f"--config={file}", f"--workdir={tmp_path / 'runs'}", *tiny())
    assert "1 done" in out.stdout


def test_a_task_on_the_command_line(files, tmp_path):
    config = tmp_path / "config.py"
    config.write_text(
        "from configs import adding\n"
        "def get_config():\n"
        "    config = adding.get_config()\n"
        '    config.task = {"name": "scaled", "length": 6, "factors": (3.0,)}\n'
        "    return config\n"
    )
    options = [f"--config={config}", f"--import={files / 'task.py'}"]
    program("train", *options, *tiny(), f"--workdir={tmp_path / 'run'}")
    stored = json.loads((tmp_path / "run" / "config.json").read_text())["task"]
    assert (stored["name"], stored["factor"], stored["factors"]) == ("scaled", 1.0, [3.0])
    program("evaluate", f"--run={tmp_path / 'run'}", options[1], "--lengths=6,8")
    refused = program("evaluate", f"--run={tmp_path / 'run'}", expect=2)
    assert one_line(refused.stderr)
    assert f"config.task.name = 'scaled': {NEEDED} TASKS['scaled'] = ..." in refused.stderr


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (None, "does not exist"),
        ("x = undefined", "1: NameError: name 'undefined' is not defined"),
        ("\nraise KeyError('a')", "2: KeyError: 'a'"),
        ("\n\nx = (", "3: SyntaxError: '(' was never closed"),
    ],
)
def test_a_file_that_cannot_be_imported(tmp_path, code, message):
    file = tmp_path / "broken.py"
    if code:
        file.write_text(code)
    with pytest.raises(
        RunError, match=f"^--import: {re.escape(f'{file}')}[: ]{re.escape(message)}"
    ):
        own.imported(str(file))
    refused = program("evaluate", f"--import={file}", "--run=nowhere", expect=2)
    assert one_line(refused.stderr)
    assert message in refused.stderr


def test_a_mistake_in_a_cell_is_told_with_its_place(tmp_path):
    file = tmp_path / "mistake.py"
    file.write_text(CODE + MISTAKE)
    out = program("train", f"--config={file}", f"--workdir={tmp_path / 'run'}", *tiny(), expect=2)
    assert one_line(out.stderr)
    (line,) = [n for n, text in enumerate(file.read_text().splitlines(), 1) if "zeros(3)" in text]
    assert re.search(rf"^error: {re.escape(str(file))}:{line}: TypeError: .*shapes", out.stderr)
    assert not (tmp_path / "run").exists()


class Options(Cell):
    """Its options are of every kind."""

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        *,
        size: int = 3,
        scale: float = 1,
        on: bool = False,
        word: str = "a",
        pair: tuple[int, int] = (1, 2),
        start: float | str = 0.5,
        keeping_bias: float | Initializer | None = None,
        some: int | str | None = None,
        maybe: bool | None = None,
        names: tuple[str, ...] | None = None,
        anything=None,
        function=abs,
        rngs,
        **options,
    ):
        super().__init__(in_features, hidden_features, rngs=rngs, **options)
        self.given = (
            size,
            scale,
            on,
            word,
            pair,
            start,
            keeping_bias,
            some,
            maybe,
            names,
            anything,
        )
        self.function = function


def test_every_kind_of_option_is_a_field_of_that_kind():
    CELLS["mine"] = Options
    section = common.get_config().model.mine
    kinds = {name: section.get_type(name).__name__ for name in section}
    numbers = {"size": "int", "scale": "float", "start": "float"}
    others = {"on": "bool", "word": "str", "pair": "tuple"}
    not_given = {"some": "int", "maybe": "bool", "names": "object", "anything": "object"}
    assert kinds == numbers | others | not_given
    config = adding.get_config()
    config.model.cell = "mine"
    config.model.mine.pair = (4, 5)
    cell = only_cell(config)
    assert cell.given == (3, 1.0, False, "a", (4, 5), 0.5, None, None, None, None, None)
    assert cell.function is abs


def only_cell(config):
    """Of the model that a config describes."""
    return resolve(config).experiment.build(nnx.Rngs(0)).layers[0].forward.cell


def test_a_cell_with_a_keeping_bias_takes_it_from_the_field_of_all_cells():
    CELLS["mine"] = Options
    config = adding.get_config()
    config.model.cell = "mine"
    config.model.keeping_bias = 2.0
    assert only_cell(config).given[6] == 2.0
    config.model.keeping_bias = None
    config.model.chrono_max = 20.0
    assert only_cell(config).given[6] == Chrono(20.0)


def test_a_cell_that_only_a_type_checker_can_read(tmp_path):
    file = tmp_path / "typed.py"
    typed = CODE.replace("slope=1.0", "slope: Nowhere = 1.0")
    file.write_text("from __future__ import annotations\n" + typed)
    own.imported(str(file))
    assert common.get_config().model.mine.slope == 1.0


def test_a_cell_whose_name_is_a_field_of_the_model():
    CELLS["dtype"] = Options
    with pytest.raises(FieldError, match=r"^CELLS = 'dtype': must be a name that is no field"):
        common.get_config()


def test_a_task_that_has_to_be_told_something():
    TASKS["strict"] = dataclasses.make_dataclass(
        "Strict", [("factor", float, dataclasses.field(kw_only=True))], bases=(Adding,), frozen=True
    )
    config = adding.get_config().to_dict()
    with pytest.raises(FieldError, match=r"^config.task.factor = None: must be given"):
        resolve({**config, "task": {"name": "strict"}})
    assert (
        resolve({**config, "task": {"name": "strict", "factor": 2.0}}).experiment.task.factor == 2
    )


def test_a_width_is_found_where_parameters_are_not_quadratic_in_the_units():
    """Some are of a rank that is a fourth of the units, rounded down."""

    class LowRank(GRUCell):
        def __init__(self, in_features: int, hidden_features: int, *, rngs, **options):
            super().__init__(in_features, hidden_features, rngs=rngs, **options)
            self.low = nnx.Param(rngs.params.normal((hidden_features, hidden_features // 4)))

    CELLS["mine"] = LowRank
    base = tiny_config().to_dict()
    for asked in (200, 3000, 9000):
        (units,) = matched(base, {"model.cell": "mine"}, asked)

        def distance(size, asked=asked):
            changed = tiny_config(**{"model.cell": "mine", "model.hidden_sizes": (size,)})
            return abs(resolve(changed).experiment.parameters - asked)

        assert all(distance(units) <= distance(other) for other in (max(units - 1, 1), units + 1))


def test_a_trials_file_is_run_twice(files):
    """By the flag that reads its config, and for its trials."""
    for _ in range(2):
        module = own.imported(str(files / "sweep.py"))
    found = described(module.get_config().to_dict(), module.sweep)
    assert [trial.name for trial in found] == ["gru", "mine", "scaled"]
