"""Checkpoints: every way to damage one is noticed, at every file of it."""

import pickle
import subprocess

import jax
import numpy as np
import pytest

from experiments.runs.checkpoints import DIGESTS, STATE, Checkpoints, decode, encode
from experiments.system.files import RunError

pytestmark = pytest.mark.quick

ARRAYS = {
    "weights": np.array([[0.1, -0.0], [np.nan, -np.inf]], np.float32),
    "step": np.array([3, 4], np.int32),
    "active": np.array([True, False]),
}
SHAPES = {name: jax.ShapeDtypeStruct(a.shape, a.dtype) for name, a in ARRAYS.items()}


def content(step):
    return encode(ARRAYS, progress_of(step))


def progress_of(step, **changes):
    return {"step": step, "wall_seconds": 1.5, "lines": 2 * step, **changes}


@pytest.fixture
def checkpoints(tmp_path):
    made = Checkpoints(tmp_path / "checkpoints")
    for step in (10, 20):
        made.save(step, content(step))
    return made


def test_what_is_read_has_the_bits_of_what_was_written():
    arrays, progress = decode(content(10), SHAPES)
    assert progress == progress_of(10)
    assert {n: a.tobytes() for n, a in arrays.items()} == {
        n: a.tobytes() for n, a in ARRAYS.items()
    }


DAMAGES = {
    "empty": lambda data: data[:0],
    "truncated by a byte": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    **{
        f"bit {bit} of the byte at {share:.0%}": lambda data, share=share, bit=bit: (
            data[: int(share * len(data))]
            + bytes([data[int(share * len(data))] ^ (1 << bit)])
            + data[int(share * len(data)) + 1 :]
        )
        for share in (0, 0.01, 0.3, 0.6, 0.99)
        for bit in (0, 3, 7)
    },
}


@pytest.mark.parametrize("name", [STATE, DIGESTS])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_reported_and_the_one_before_is_used(checkpoints, capsys, name, damage):
    file = checkpoints.folder / "20" / name
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    _, progress = decode(checkpoints.newest(SHAPES), SHAPES)
    assert progress["step"] == 10
    assert (
        f"checkpoint {checkpoints.folder / '20'}: {STATE} does not match {DIGESTS}"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", [STATE, DIGESTS])
def test_a_missing_file_is_reported(checkpoints, capsys, name):
    (checkpoints.folder / "20" / name).unlink()
    assert decode(checkpoints.newest(SHAPES), SHAPES)[1]["step"] == 10
    assert name in capsys.readouterr().err


def test_every_bit_of_a_checkpoint_counts(checkpoints):
    """Flips them one by one, in both files."""
    for name in (STATE, DIGESTS):
        file = checkpoints.folder / "20" / name
        data = file.read_bytes()
        for position in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[position // 8] ^= 1 << position % 8
            file.write_bytes(flipped)
            found = decode(checkpoints.newest(SHAPES), SHAPES)[1]["step"]
            assert found == 10, (name, position)
        file.write_bytes(data)
    assert decode(checkpoints.newest(SHAPES), SHAPES)[1]["step"] == 20


def test_none_usable_is_a_clear_stop(checkpoints):
    for step in (10, 20):
        (checkpoints.folder / str(step) / STATE).write_bytes(b"")
    with pytest.raises(RunError, match="no usable checkpoint among 2"):
        checkpoints.newest(SHAPES)


def test_no_checkpoint_yet_is_none(tmp_path):
    assert Checkpoints(tmp_path / "nowhere").newest(SHAPES) is None


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_the_newest_are_kept(tmp_path, kept):
    checkpoints = Checkpoints(tmp_path / "checkpoints", kept)
    for step in range(10, 60, 10):
        checkpoints.save(step, content(step))
        assert checkpoints.steps() == list(range(step, 0, -10))[:kept]


def test_an_unfinished_one_is_not_there_and_is_cleared_away(checkpoints):
    (checkpoints.folder / "30.partial").mkdir()
    (checkpoints.folder / "30.partial" / STATE).write_bytes(b"half")
    assert checkpoints.steps() == [20, 10]
    checkpoints.save(30, content(30))
    assert sorted(path.name for path in checkpoints.folder.iterdir()) == ["20", "30"]


def test_what_was_passed_over_does_not_push_out_what_is_sound(checkpoints):
    """After a damaged 20, a run goes on from 10: saving 15 must not count the damaged one."""
    (checkpoints.folder / "20" / STATE).write_bytes(b"")
    checkpoints.save(15, content(15))
    assert checkpoints.steps() == [15, 10]


def test_metrics_that_have_lost_lines_pass_a_checkpoint_over(checkpoints, capsys):
    assert decode(checkpoints.newest(SHAPES, lines=40), SHAPES)[1]["step"] == 20
    assert decode(checkpoints.newest(SHAPES, lines=39), SHAPES)[1]["step"] == 10
    assert "metrics.jsonl has lost 1 line\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["007", "٣", "1e3", "-1"])
def test_folders_that_are_no_steps(checkpoints, name):
    (checkpoints.folder / name).mkdir()
    checkpoints.save(30, content(30))
    assert checkpoints.steps() == [30, 20]


class Planted:
    def __reduce__(self):
        return open, ("/planted", "w")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be read"),
        (b"\xff" * 100, "cannot be read"),
        (pickle.dumps(Planted()), "cannot be read"),
        (encode({"weights": ARRAYS["weights"]}, progress_of(20)), "another model"),
        (encode({**ARRAYS, "step": np.zeros(2)}, progress_of(20)), "another model"),
        (encode(ARRAYS, progress_of("20")), "has no progress"),
        (encode(ARRAYS, progress_of(20, lines=None)), "has no progress"),
        (encode(ARRAYS, {"wall_seconds": 0}), "cannot be read"),
        (content(10), "it is of step 10"),
    ],
)
def test_what_a_stranger_signed_is_still_only_numbers(checkpoints, capsys, data, message):
    """The digest fits, the content does not."""
    checkpoints.save(20, data)
    assert decode(checkpoints.newest(SHAPES), SHAPES)[1]["step"] == 10
    assert message in capsys.readouterr().err


def test_the_digests_are_those_that_sha256sum_checks(checkpoints):
    folder = checkpoints.folder / "20"
    subprocess.run(["sha256sum", "--check", "--quiet", DIGESTS], cwd=folder, check=True)


@pytest.mark.parametrize("fails", ["pathlib.Path.rename", "os.fsync"])
def test_a_failed_save_leaves_the_old_ones(checkpoints, monkeypatch, fails):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fails, full)
    with pytest.raises(OSError, match="No space"):
        checkpoints.save(30, content(30))
    monkeypatch.undo()
    assert checkpoints.steps() == [20, 10]
    assert decode(checkpoints.newest(SHAPES), SHAPES)[1]["step"] == 20
