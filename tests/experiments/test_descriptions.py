"""--describe: what a cell or a task is, and fields that a config takes as they stand there."""

import re

import pytest

from configs import common
from experiments.datasets.sources import SOURCES
from experiments.settings.descriptions import described
from gru_jax import CELLS, TASKS, FieldError
from tests.programs import ROOT, one_line, program

pytestmark = pytest.mark.quick


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


def test_a_name_that_nothing_has():
    with pytest.raises(FieldError, match=r"--describe = 'grv': .*did you mean 'gru'"):
        described("grv")


def test_the_program_describes_a_cell_of_ones_own_and_needs_no_config():
    file = ROOT / "tests" / "minimal_rnn.py"
    told = program("train", "--describe=minimal_rnn", f"--import={file}")
    assert "minimal_rnn: " in told.stdout
    assert told.stderr == ""
    assert one_line(program("train", "--describe=nothing", expect=2).stderr)
