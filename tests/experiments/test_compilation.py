"""Compiled programs that are kept: where, when not, and what a kill leaves of them."""

import os

import jax

from experiments.system import compilation
from tests.programs import program, tiny


def train(folder, name, **environment):
    options = [f"--workdir={folder / name}", *tiny(**{"train.steps": 10, "model.cell": "vanilla"})]
    # Without a folder that is given, as JAX_COMPILATION_CACHE_DIR is to all other tests.
    env = {"JAX_COMPILATION_CACHE_DIR": "", "XDG_CACHE_HOME": str(folder / "cache"), **environment}
    out = program("train", "--config=configs/adding.py", *options, env=env)
    assert "arning" not in out.stderr
    return (folder / name / "metrics.jsonl").read_text()


def entries(folder):
    return {path.name: path for path in folder.glob("cache/gru_jax/xla-*/*")}


def test_kept_used_and_replaced_where_a_kill_has_left_a_part(tmp_path):
    first = train(tmp_path, "first")
    kept = entries(tmp_path)
    assert any(name.startswith("jit_train_chunk") for name in kept)
    whole = {name: path.stat().st_size for name, path in kept.items()}
    for path in kept.values():
        os.truncate(path, path.stat().st_size // 2)
    assert train(tmp_path, "second") == first
    again = {name: path.stat().st_size for name, path in entries(tmp_path).items()}
    # Not always the same ones: programs that take about `compilation.SECONDS` may be worth a file
    # on one run and not on the next.
    assert any(name.startswith("jit_train_chunk") for name in again)
    assert all(size > 0.9 * whole[name] for name, size in again.items() if name in whole)


def test_without_a_folder_or_not_wanted(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    train(tmp_path, "blocked")
    (tmp_path / "cache").unlink()
    train(tmp_path, "off", JAX_ENABLE_COMPILATION_CACHE="false")
    assert not (tmp_path / "cache" / "gru_jax").exists()


def test_the_oldest_entries_go_when_there_are_too_many(tmp_path, monkeypatch):
    for age, name in enumerate(("newest", "middle", "oldest")):
        (tmp_path / name).write_bytes(b"x" * 100)
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    monkeypatch.setattr(compilation, "SIZE", 250)
    compilation._prune(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"newest", "middle"}


def test_a_cache_elsewhere_than_on_disk_is_left_to_jax(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    given = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", "gs://bucket/programs")
    try:
        compilation.use_cache()
        assert jax.config.jax_compilation_cache_dir == "gs://bucket/programs"
    finally:
        jax.config.update("jax_compilation_cache_dir", given)
    assert not list(tmp_path.iterdir())
