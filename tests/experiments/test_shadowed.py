"""Folders of one's own that are called like ours."""

import subprocess
import sys
import types
from pathlib import Path

from experiments.sweeps import launchers
from tests.programs import ROOT


def imported(folder):
    """Where `configs` comes from, in a program of ours that is started in a folder."""
    code = "import experiments, configs.common; print(configs.__file__)"
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_configs_are_ours(tmp_path):
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "__init__.py").write_text("1 / 0")
    found = imported(tmp_path)
    assert found.stdout.strip() == str(ROOT / "configs" / "__init__.py"), found.stderr


def test_workers_look_where_the_sweep_does(monkeypatch):
    told = lambda: launchers.worker(Path("sweep"), ["a"], [])[1:3]
    for safe, expected in ((True, ["-P", "-m"]), (False, ["-m", "experiments.sweeps.worker"])):
        with monkeypatch.context() as changed:
            changed.setattr(sys, "flags", types.SimpleNamespace(safe_path=safe))
            found = told()
        assert found == expected
