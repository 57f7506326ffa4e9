"""Arguments as they are typed: the home folder, and the config of a run that there is."""

import json
import shutil

import pytest

from experiments.runs import load
from experiments.settings.resolution import resolve
from experiments.settings.stored import get_config
from experiments.system.arguments import STORED, written_out
from experiments.train import train
from tests.programs import ROOT, one_line, program

GOLDEN = ROOT / "tests" / "golden"


def test_a_tilde_is_the_home_folder_wherever_a_path_begins(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    told = {
        "--workdir=~/x": "--workdir=/home/me/x",
        "~/x": "/home/me/x",
        "--config=~/c.py:~/data.tsv": "--config=/home/me/c.py:/home/me/data.tsv",
        "--config.task.path=~": "--config.task.path=/home/me",
        "--only=*~1": "--only=*~1",
        "--workdir=a~/b": "--workdir=a~/b",
        "--workdir=~nobody-of-this-name/b": "--workdir=~nobody-of-this-name/b",
    }
    assert written_out([*told]) == [*told.values()]
    for prompt in (["--prompt=~"], ["--prompt", "~/x"], ["-prompt=a:~"]):
        assert written_out(["sample", *prompt, "--run=~"]) == ["sample", *prompt, "--run=/home/me"]


def test_a_run_at_home_and_its_config(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(GOLDEN / "sweep" / "trials" / "lstm", tmp_path / "run")
    run = load("~/run")
    assert train(run.settings.config, "~/run", quiet=True).workdir == tmp_path / "run"
    options = ["--config=~/run/config.json", "--workdir=~/run"]
    assert f"{tmp_path}/run is finished" in program("train", *options, cwd=tmp_path).stdout
    other = program("train", *options, "--config.train.target=0.5", cwd=tmp_path, expect=2)
    assert "config.train.target is 0.001 there and 0.5 here" in other.stderr
    assert not (tmp_path / "~").exists()


def test_a_stored_config_is_a_config_file():
    for path in GOLDEN.glob("*/trials/*/config.json"):
        stored = resolve(json.loads(path.read_text()))
        config = get_config(str(path))
        assert resolve(config).config == stored.config
        config.model.hidden_sizes = (3,)
        config.train.target = 0.5
        assert resolve(config).config["model"]["hidden_sizes"] == [3]
    for flag in (["--config=a/config.json"], ["--config", "a/config.json"]):
        assert written_out(["train", *flag])[-1].endswith(f"{STORED}:a/config.json")
    for flag in (["--config=lr=0.1/config.json"], ["--config", "lr=0.1/config.json"]):
        assert written_out(["train", *flag])[-1].endswith(f"{STORED}:lr=0.1/config.json")


@pytest.mark.parametrize("content", ["{", "[3]", '{"schema": 9}', '{"model": 3}'])
def test_another_json_file_takes_one_line(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    for file in ("config.json", "missing.json"):
        out = program("train", f"--config={tmp_path / file}", expect=2)
        assert one_line(out.stderr)
        assert "unforeseen" not in out.stderr
