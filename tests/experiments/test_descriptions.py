"""--describe: what a cell or a task is, and fields that a config takes as they stand there."""

import json
import re

import pytest

from configs import common
from experiments.datasets.sources import SOURCES
from experiments.settings.descriptions import described
from gru_jax import CELLS, TASKS, FieldError
from tests.programs import ROOT, one_line, program, tiny

pytestmark = pytest.mark.quick

TASK = """
from __future__ import annotations

import dataclasses

from configs import common
from gru_jax import TASKS, Adding


@dataclasses.dataclass(frozen=True)
class Strict(Adding):
    factor: float = dataclasses.field(kw_only=True)
    factors: tuple[float, ...] = dataclasses.field(default_factory=lambda: (1.0, 2.0))
    function: object = abs


TASKS["strict"] = Strict


def get_config():
    config = common.get_config()
    config.name = config.task.name = "strict"
    return config
"""


@pytest.mark.parametrize("name", [*CELLS, *TASKS, *SOURCES])
def test_every_option_is_named_with_its_default(name):
    told = described(name)
    assert ">>>" not in told
    section = f"config.model.{name}" if name in CELLS else "config.task"
    given = re.findall(rf"^  --{section}\.(\w+)=(.*)$", told, re.MULTILINE)
    options = {option: eval(value) for option, value in given}
    if name in CELLS:
        assert options == common.options(CELLS[name]).to_dict()
    elif name in TASKS:
        assert TASKS[name](**options) == TASKS[name]()
        assert options.keys() >= {"length"}
    else:
        assert SOURCES[name].__code__.co_varnames[: len(options)] == tuple(options)
    prose, _, flags = told.rpartition(f"\n{name}: on the command line, with defaults\n")
    for option in options:
        assert re.search(rf"\b{option}\b", prose), f"{option} is not explained"
    assert not re.search(r"keeping_bias.*: see `", prose), "a page that is not shown"
    keeps = name in CELLS and "keeping_bias" in CELLS[name].options()
    assert (
        ("--config.model.keeping_bias=None" in flags) == keeps == ("keeping_bias: start" in prose)
    )
    chosen = f"--config.model.cell={name}" if name in CELLS else f"--config=configs/{name}.py"
    assert flags.splitlines()[0] == f"  {chosen}"
    assert ("see configs/common.py" in flags) == (name in CELLS)


def test_a_name_that_nothing_has():
    with pytest.raises(FieldError, match=r"--describe = 'grv': .*did you mean 'gru'"):
        described("grv")


def test_the_program_describes_a_cell_of_ones_own_and_needs_no_config():
    file = ROOT / "tests" / "minimal_rnn.py"
    told = program("train", "--describe=minimal_rnn", f"--import={file}")
    assert "minimal_rnn: " in told.stdout
    assert told.stderr == ""
    assert one_line(program("train", "--describe=nothing", expect=2).stderr)


def test_what_a_task_of_ones_own_has_to_be_told_is_told_by_a_command(tmp_path):
    file, run = tmp_path / "strict.py", tmp_path / "run"
    file.write_text(TASK)
    told = program("train", "--describe=strict", f"--import={file}").stdout
    assert "  --config.task.factor must be given\n" in told
    assert "  --config.task.factors=(1.0, 2.0)\n" in told
    assert "config.task.function" not in told  # which no config can hold
    options = [f"--config={file}", *tiny(), f"--workdir={run}"]
    refused = program("train", *options, expect=2).stderr
    assert refused == "error: config.task.factor = None: must be given\n"
    program("train", *options, "--config.task.factor=2", "--config.task.factors=(3,4)")
    stored = json.loads((run / "config.json").read_text())["task"]
    given = {"factor": 2.0, "factors": [3, 4]}
    assert stored == {"name": "strict", "length": 6, "protocol": "halves", **given}
