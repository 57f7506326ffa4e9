"""The one command for a machine with an accelerator, tried on one without."""

import json
import os
import sys
from types import SimpleNamespace

import pytest

from experiments.system.files import RunError
from scripts.benchmark import accelerator, linear
from scripts.benchmark.contenders import Work
from scripts.benchmark.turns import ALL
from tests.programs import one_line, program

pytestmark = pytest.mark.usefixtures("least_effort")


def test_without_an_accelerator_it_says_so():
    out = program("scripts.benchmark.accelerator", expect=2)
    assert one_line(out.stderr)
    assert "JAX finds no accelerator here" in out.stderr


def test_one_file_holds_the_steps_and_the_linear_cells(tmp_path, monkeypatch):
    others = ("gru_jax", "gru_jax-unroll-4", "gru_jax-bfloat16", "floor")
    settings = {
        "RESULTS": tmp_path / "accelerator.json",
        "CONTENDERS": {"gru": others, "vanilla": ("gru_jax",)},
        "WORKLOADS": {"3/5/2/4": Work(3, 5, 2, 4)},
        "WORKS": [("min_gru", 1, 4, 3)],
        "REPEATS": 2,
        "SECONDS": 0.0,
    }
    for name, value in settings.items():
        monkeypatch.setattr(accelerator, name, value)
    monkeypatch.setattr(
        accelerator, "jax", SimpleNamespace(devices=lambda: [SimpleNamespace(platform="gpu")])
    )
    monkeypatch.setattr(linear, "SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["accelerator"])
    assert accelerator.main() == 0
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert [(each["cell"], [*each["contenders"]]) for each in found["results"]] == [
        ("gru", [*others]),
        ("vanilla", ["gru_jax"]),
    ]
    rows = found["results"][0]["contenders"]
    assert all(len(row["seconds"]) == 2 for row in rows.values())
    assert rows["gru_jax-unroll-4"]["loss_deviation"] < 1e-5
    assert 1e-5 < rows["gru_jax-bfloat16"]["gradient_deviation"] < 0.1
    assert [row["cell"] for row in found["works"]] == ["min_gru"]


def test_it_names_contenders_that_there_are():
    assert {name for names in accelerator.CONTENDERS.values() for name in names} <= {*ALL}


def test_processes_share_the_memory_of_an_accelerator(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_PREALLOCATE", raising=False)
    monkeypatch.setattr(sys, "argv", ["accelerator"])
    with pytest.raises(RunError, match="no accelerator"):
        accelerator.main()
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
