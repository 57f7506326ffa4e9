"""The page that --help prints: it is there at once, fits a terminal, and its examples work."""

import os
import shlex
import subprocess
import sys

import pytest
from absl import flags

from experiments import usage
from experiments.sweeps import worker
from experiments.system import commandline
from tests.programs import ROOT, program

ALL = [*usage.PROGRAMS.values(), worker.PROGRAM]


@pytest.mark.parametrize("shown", usage.PROGRAMS.values(), ids=usage.PROGRAMS)
def test_the_page_is_there_before_anything_slow_is_imported(shown):
    command = [sys.executable, "-X", "importtime", "-m", f"experiments.{shown.name}", "--help"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in found.stderr.splitlines()}
    assert "experiments.usage" in imported
    assert not imported & {"absl", "gru_jax", "jax", "ml_collections", "numpy"}
    assert found.stdout == f"{shown.page()}\n"


def test_the_page_of_a_program_that_is_imported_already():
    assert program("train", "-h").stdout == f"{usage.TRAIN.page()}\n"
    assert program("experiments.sweeps.worker", "--help").stdout == f"{worker.PROGRAM.page()}\n"


@pytest.mark.quick
@pytest.mark.parametrize("shown", ALL, ids=lambda shown: shown.name)
def test_the_page_fits_a_terminal_and_names_every_flag(shown):
    lines = shown.page().split("\n")
    assert max(map(len, lines)) <= 80
    values = flags.FlagValues()
    commandline.define(shown.flags, values)
    for name in values:
        off = "no" if values[name].default is True else ""
        assert any(line.startswith((f"  --{off}{name} ", f"  --{off}{name}=")) for line in lines)


def test_every_program_has_three_examples_which_it_understands(monkeypatch):
    monkeypatch.chdir(ROOT)
    for shown in usage.PROGRAMS.values():
        assert len(shown.examples) == 3
        for _, arguments in shown.examples:
            values = flags.FlagValues()
            commandline.define([*shown.flags, commandline.IMPORT], values)
            rest = commandline.parse([shown.name, *shlex.split(arguments)], values, shown)
            assert bool(rest) == bool(shown.takes)


def test_a_reader_that_has_gone_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "experiments.train", "--help"]
    found = subprocess.run(
        command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (found.returncode, found.stderr) == (0, "")
