"""One writer a folder: who has it is told, the dead are recognised, another host needs a person."""

import json
import os
import socket
import subprocess
import sys

import pytest

from experiments.system import lock
from experiments.system.files import RunError
from experiments.system.lock import LOCK, LostError, held, is_held
from tests.programs import ROOT

pytestmark = pytest.mark.quick

HOLD = """
import sys, time
from pathlib import Path
from experiments.system.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def elsewhere(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({"host": "far", "pid": 12, "since": "2026-01-01"}))


def test_it_names_its_holder_and_goes_away(tmp_path):
    with held(tmp_path):
        holder = json.loads((tmp_path / LOCK).read_text())
        assert (holder["host"], holder["pid"]) == (socket.gethostname(), os.getpid())
    assert list(tmp_path.iterdir()) == []


def test_who_may_be_alive_elsewhere_holds_it(tmp_path):
    assert not is_held(tmp_path)
    elsewhere(tmp_path)
    assert is_held(tmp_path)


def test_it_goes_away_after_an_error_too(tmp_path):
    with pytest.raises(ZeroDivisionError), held(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("force", [False, True])
def test_the_second_is_told_who_holds_it(tmp_path, other, force):
    with (
        pytest.raises(RunError, match=f"process {other.pid} on '{socket.gethostname()}'"),
        held(tmp_path, force),
    ):
        pass
    assert json.loads((tmp_path / LOCK).read_text())["pid"] == other.pid


def test_the_same_process_twice(tmp_path):
    with held(tmp_path), pytest.raises(RunError, match=f"process {os.getpid()}"), held(tmp_path):
        pass


def test_a_dead_holder_on_this_host_is_recognised(tmp_path, other, capsys):
    assert is_held(tmp_path)
    other.kill()
    other.wait()
    assert (tmp_path / LOCK).exists()
    assert not is_held(tmp_path)
    with held(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert f"process {other.pid}" in capsys.readouterr().err


def test_a_holder_on_another_host_needs_force(tmp_path):
    elsewhere(tmp_path)
    with pytest.raises(RunError, match="process 12 on 'far': --force takes over"), held(tmp_path):
        pass
    with held(tmp_path, force=True) as check:
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
        check()
    assert list(tmp_path.iterdir()) == []


def test_a_holder_that_was_wrongly_believed_dead_notices(tmp_path, monkeypatch):
    with held(tmp_path) as check:
        monkeypatch.setattr(socket, "gethostname", lambda: "far")  # as a process there sees it
        with held(tmp_path, force=True) as theirs:
            monkeypatch.undo()
            with pytest.raises(LostError, match=r"taken over by process .* on 'far'"):
                check()
            theirs()
        with pytest.raises(LostError, match="deleted"):
            check()


def test_a_folder_that_vanishes_is_noticed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with held(folder) as check:
        (folder / LOCK).unlink()
        folder.rmdir()
        with pytest.raises(LostError, match="deleted"):
            check()


@pytest.mark.parametrize("text", ["", "{", "[]", "\x80"])
def test_a_damaged_lock_is_nobodys(tmp_path, text):
    (tmp_path / LOCK).write_bytes(text.encode("latin1"))
    with held(tmp_path):
        pass


def test_what_a_stranger_wrote_is_quoted(tmp_path):
    (tmp_path / LOCK).write_text('{"pid": "\\u001b[31m", "host": 3}')
    with pytest.raises(RunError) as caught, held(tmp_path):
        pass
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("holder", ["nobody", "alive", "dead"])
def test_a_file_system_without_locks(tmp_path, monkeypatch, holder):
    """Some clusters have one: then the process itself is looked for."""

    def none(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock.fcntl, "flock", none)
    pids = {"alive": os.getpid(), "dead": 2**40}
    if holder in pids:
        named = {"host": socket.gethostname(), "pid": pids[holder]}
        (tmp_path / LOCK).write_text(json.dumps(named))
    if holder == "alive":
        with pytest.raises(RunError, match=f"process {os.getpid()}"), held(tmp_path):
            pass
    else:
        with held(tmp_path):
            pass
