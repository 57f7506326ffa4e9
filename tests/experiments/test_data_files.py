"""A run is its data's digest: where the file lies is told at use."""

import contextlib
import hashlib
import shutil

import pytest
import scipy.io

from experiments.evaluate import evaluate
from experiments.reports.live import Followed
from experiments.runs import load
from experiments.runs.records import read_config
from experiments.settings.resolution import resolve
from experiments.settings.trials import described
from experiments.system.files import RunError, write_json
from experiments.train import _finished, train
from experiments.training.loop import train_settings
from gru_jax import FieldError
from tests.collected import music, rolls
from tests.programs import ROOT, one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a data file, and a run of it that was trained by a relative path."""
    there = tmp_path_factory.mktemp("there")
    path, _ = music(there)
    with contextlib.chdir(there):
        train(reading(path.name), there / "run", quiet=True)
    return there


@pytest.fixture(name="mine")
def copied(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "mine")


def reading(path):
    config = tiny_config()
    with config.unlocked():
        config.task = {"name": "piano", "path": str(path)}
    config.train.update({"evaluation_examples": 0, "steps": 20})
    return config


def other(folder):
    path = folder / "other.mat"
    scipy.io.savemat(path, {f"{name}data": rolls([6, 7], 9) for name in ("train", "valid", "test")})
    return path


def test_a_run_is_bound_to_the_bytes_of_its_file(mine):
    path, workdir = mine / "music.mat", mine / "run"
    name = resolve(reading(path)).name
    stored = read_config(workdir)
    assert stored["task"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    other(mine).replace(path)
    stored["task"]["path"] = str(path)
    with pytest.raises(FieldError, match=r"task.path = .* its SHA-256 is another one; --data=PATH"):
        resolve(stored)
    with pytest.raises(FieldError, match=r"--data = .* its SHA-256 is another one$"):
        load(workdir, path)
    assert resolve(reading(path)).name != name
    with pytest.raises(RunError, match=r"another run: config\.task\.sha256"):
        train(reading(path), workdir)


def test_the_same_file_by_any_path_is_the_same_run(folder, mine, monkeypatch):
    losses = load(folder / "run").summary["eval"]["loss"]["per_seed"]
    assert evaluate(load(folder / "run"))["loss"] == pytest.approx(losses)

    moved, workdir = (mine / "music.mat").rename(mine / "moved.mat"), mine / "run"
    settings = resolve(reading(moved))
    assert settings.name == resolve(reading(folder / "music.mat")).name
    assert _finished(workdir, settings, extend=False)
    places = {"one": folder / "music.mat", "two": moved}
    with pytest.raises(FieldError, match="different from one: they are equal"):
        described(
            reading(moved).to_dict(),
            lambda add: [add(name, {"task.path": str(p)}) for name, p in places.items()],
        )
    # A run of earlier commits has the relative path.
    stored = {**settings.config, "task": {**settings.config["task"], "path": "moved.mat"}}
    with pytest.raises(FieldError, match=r"path = 'moved.mat': must be a file; --data=PATH"):
        resolve(stored)
    monkeypatch.chdir(mine)
    assert resolve(stored).config == settings.config
    write_json(workdir / "config.json", stored)
    longer = reading(moved)
    longer.train.steps = 40
    train_settings(resolve(longer), workdir, quiet=True, extend=True)
    assert read_config(workdir)["task"]["path"] == str(moved)  # the last place


def test_where_it_lies_is_told_at_use(mine):
    workdir, path = mine / "run", mine / "music.mat"
    stored = read_config(workdir)
    stored["task"]["path"] = "gone/music.mat"
    write_json(workdir / "config.json", stored)
    run, data = f"--run={workdir}", f"--data={path}"
    missing = program("evaluate", run, expect=2)
    assert one_line(missing.stderr)
    assert "path = 'gone/music.mat': must be a file; --data=PATH says" in missing.stderr
    for told in ("evaluate", run), ("gates", run), ("report", str(workdir)):
        program(*told, f"--data={other(mine)}", data)
        wrong = program(*told, f"--data={other(mine)}", expect=2)
        assert one_line(wrong.stderr)
        assert "its SHA-256 is another one" in wrong.stderr
    assert "piano" in Followed(workdir, [str(other(mine)), str(path)], "").current()[0]
    with pytest.raises(FieldError, match="its SHA-256 is another one"):
        Followed(workdir, [str(other(mine))], "")
    assert evaluate(load(workdir, path)) == evaluate(load(workdir, str(path)))

    run = f"--run={ROOT / 'tests' / 'golden' / 'sweep' / 'trials' / 'lstm'}"
    without = program("evaluate", run, data, expect=2)
    assert one_line(without.stderr)
    assert "has no data file" in without.stderr
