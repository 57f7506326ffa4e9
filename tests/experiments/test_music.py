"""Piano rolls as other programs write them."""

import json
import pickle

import jax
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from experiments.datasets.sources import load_task
from gru_jax import FieldError
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from tests.collected import music, rolls

SPLITS = {TRAIN: "traindata", VALIDATION: "validdata", TEST: "testdata"}


def cells(pieces, kind=lambda piece: piece):
    found = np.empty((1, len(pieces)), object)
    for number, piece in enumerate(pieces):
        found[0, number] = kind(piece)
    return found


def equal(task, other):
    for split in SPLITS:
        leaves = map(jax.tree.leaves, (task.splits[split], other.splits[split]))
        for left, right in zip(*leaves, strict=True):
            np.testing.assert_array_equal(left, right)


def midi(piece):
    """The numbers of the notes of every step; a rest is an empty list, or one -1."""
    return [
        [int(n) + 21 for n in np.flatnonzero(s)] or [[], [-1]][i % 2] for i, s in enumerate(piece)
    ]


def test_every_kind_of_file_gives_the_same_pieces(tmp_path):
    path, pieces = music(tmp_path)
    expected = load_task("piano", path=str(path))
    listed = {name: list(each[0]) for name, each in pieces.items()}
    short = {name.removesuffix("data"): each for name, each in listed.items()}
    sparse = {name: cells(each, scipy.sparse.csc_matrix) for name, each in listed.items()}
    scipy.io.savemat(tmp_path / "sparse.mat", sparse)
    numbered = {f"{n}_{i}": piece for n, each in short.items() for i, piece in enumerate(each)}
    np.savez(tmp_path / "numbered.npz", **numbered)
    steps = {name: [piece.tolist() for piece in each] for name, each in listed.items()}
    (tmp_path / "steps.json").write_text(json.dumps(steps))
    notes = {name: [midi(piece) for piece in each] for name, each in short.items()}
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    for name in ("sparse.mat", "numbered.npz", "steps.json", "notes.json"):
        equal(load_task("piano", path=str(tmp_path / name)), expected)


def test_a_gap_in_the_numbers_of_pieces_is_told(tmp_path):
    _, pieces = music(tmp_path)
    numbered = {f"{n}_{i}": piece for n, each in pieces.items() for i, piece in enumerate(each[0])}
    for gone in ("traindata_1", "traindata_0"):
        rest = {name: piece for name, piece in numbered.items() if name != gone}
        np.savez(tmp_path / "gap.npz", **rest)
        with pytest.raises(FieldError, match=f"numbered from 0: no '{gone}'"):
            load_task("piano", path=str(tmp_path / "gap.npz"))


def test_pieces_of_one_length_may_be_one_array(tmp_path):
    pieces = {name: rolls([6, 6, 6], seed) for seed, name in enumerate(SPLITS.values())}
    scipy.io.savemat(tmp_path / "cells.mat", pieces)
    stacked = {name: np.stack(list(each[0])) for name, each in pieces.items()}
    scipy.io.savemat(tmp_path / "stacked.mat", stacked)
    each = {name: array.astype(object) for name, array in stacked.items()}
    scipy.io.savemat(tmp_path / "numbers.mat", each)
    np.savez(tmp_path / "stacked.npz", **stacked)
    expected = load_task("piano", path=str(tmp_path / "cells.mat"))
    for name in ("stacked.mat", "numbers.mat", "stacked.npz"):
        equal(load_task("piano", path=str(tmp_path / name)), expected)


def test_what_runs_code_is_refused_by_name(tmp_path):
    class Evil:
        def __reduce__(self):
            return pytest.fail, ("it was run",)

    content = {name: Evil() for name in SPLITS.values()}
    for name, protocol in (("a.pickle", 0), ("a.pkl", 4), ("a.mat", 4)):
        (tmp_path / name).write_bytes(pickle.dumps(content, protocol))
        with pytest.raises(FieldError, match=r"file: reading a pickle runs its code$"):
            load_task("piano", path=str(tmp_path / name))
    np.savez(tmp_path / "a.npz", traindata=np.array([Evil()], object))
    with pytest.raises(FieldError, match=r"a .mat, .npz or .json file \(ValueError: Object arrays"):
        load_task("piano", path=str(tmp_path / "a.npz"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"train": [[[60], [200]]]}', r"notes in 21..108: train\[0\] has 200"),
        ('{"train": [[60, "C"]]}', r"notes in 21..108: train\[0\] has 'C'"),
        ('{"train": [5], "valid": [], "test": []}', r"pieces \(time, 88\): train\[0\] is \(\)"),
        ('{"train": [[[60], [60]]], "valid": 3, "test": []}', r"valid\[0\] is \(\)"),
        ('{"train": [[' + str([[0]] * 88) + ']], "valid": [], "test": []}', r"has \[0\]"),
        ('{"train": ', "a .mat, .npz or .json file .JSONDecodeError"),
    ],
)
def test_bad_lists(tmp_path, content, message):
    path = tmp_path / "music.json"
    path.write_text(content)
    with pytest.raises(FieldError, match=message):
        load_task("piano", path=str(path))


@pytest.mark.parametrize(
    ("pieces", "message"),
    [
        ({"traindata": rolls([5], 0)}, "no 'validdata'"),
        ({name: rolls([], 0) for name in SPLITS.values()}, "pieces in traindata"),
        ({name: rolls([1], 0) for name in SPLITS.values()}, r"traindata\[0\] is \(1, 88\)"),
        ({name: np.zeros((3, 88)) for name in SPLITS.values()}, r"traindata\[0\] is"),
        ({name: 2 * rolls([5], 1) for name in SPLITS.values()}, "notes of 0 and 1"),
    ],
)
def test_bad_music(tmp_path, pieces, message):
    path = tmp_path / "music.mat"
    scipy.io.savemat(path, pieces)
    with pytest.raises(FieldError, match=message):
        load_task("piano", path=str(path))
