"""Files that are whole or absent."""

import math
import os
from pathlib import Path

import pytest

from experiments.system.files import check_plain, finite, write_bytes

pytestmark = pytest.mark.quick


def test_a_file_is_never_half_written(tmp_path):
    """The new one takes the place of the old one, which stays whole for whoever reads it."""
    path, other = tmp_path / "file", tmp_path / "other name"
    write_bytes(path, b"old")
    os.link(path, other)
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert other.read_bytes() == b"old"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["file", "other name"]


def test_json_has_null_for_what_is_not_finite():
    content = {"a": [1.5, math.nan, {"b": -math.inf}], "c": "nan", "d": 2, "e": None}
    assert finite(content) == {"a": [1.5, None, {"b": None}], "c": "nan", "d": 2, "e": None}


def test_what_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_file_that_goes_while_a_folder_is_checked_is_no_error(tmp_path, monkeypatch):
    """As a worker's partial files do."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "partial").write_text("")
    real = Path.lstat

    def lstat(path):
        if path.name == "partial":
            path.unlink()
        return real(path)

    monkeypatch.setattr(Path, "lstat", lstat)
    check_plain(tmp_path)
    assert not (tmp_path / "runs" / "partial").exists()
