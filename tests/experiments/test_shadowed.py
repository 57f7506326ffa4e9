"""Folders of one's own that are called like ours."""

import subprocess
import sys
import sysconfig
import types
import zipfile
from pathlib import Path

from hatchling.build import build_editable

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


def test_an_editable_install_is_not_in_the_way(tmp_path, monkeypatch):
    """It brings `gru_jax` and `experiments`, which finds its configs by itself."""
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build_editable(str(tmp_path))) as wheel:
        wheel.extractall(tmp_path)
    code = """if True:
        import importlib.util, site, sys
        sys.path.append(sys.argv[1])
        site.addsitedir(sys.argv[2])
        top = "gru_jax experiments configs scripts tests".split()
        print(*filter(importlib.util.find_spec, top))
        import experiments, configs.common
        print(configs.__file__)
    """
    # Without -S, the packages' own folder might hold another editable install.
    command = [sys.executable, "-S", "-P", "-c", code, sysconfig.get_path("purelib"), str(tmp_path)]
    found = subprocess.run(
        command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    expected = ["gru_jax experiments", str(ROOT / "configs" / "__init__.py")]
    assert found.stdout.splitlines() == expected, found.stderr


def test_workers_look_where_the_sweep_does(monkeypatch):
    told = lambda: launchers.worker(Path("sweep"), ["a"], [])[1:3]
    for safe, expected in ((True, ["-P", "-m"]), (False, ["-m", "experiments.sweeps.worker"])):
        with monkeypatch.context() as changed:
            changed.setattr(sys, "flags", types.SimpleNamespace(safe_path=safe))
            found = told()
        assert found == expected
