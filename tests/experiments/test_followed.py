"""What a page that follows a folder knows of runs that have not begun, or end while it looks."""

import os

import pytest

from experiments.reports import live
from experiments.reports.live import Followed
from experiments.settings.resolution import resolve
from experiments.settings.trials import Trial
from experiments.sweeps.folder import SweepFolder
from experiments.train import train
from tests.programs import tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")


def test_a_sweep_of_which_nothing_has_begun(tmp_path):
    folder = SweepFolder(tmp_path)
    folder.open([Trial("waiting", resolve(tiny_config()), {}, None, ())])
    page, _ = Followed(tmp_path, [], "command").current()
    assert "0 % of the work is done; nothing is running. Last change: 20" in page


def test_a_folder_whose_name_is_no_text(tmp_path):
    folder = SweepFolder(tmp_path / os.fsdecode(b"caf\xe9"))
    folder.path.mkdir()
    folder.open([Trial("waiting", resolve(tiny_config()), {}, None, ())])
    page, tag = Followed(folder.path, [], "command").current()
    assert "nothing is running" in page
    assert tag


def test_a_trial_that_ends_while_the_others_are_read_is_not_shown_as_running(tmp_path, monkeypatch):
    run = train(tiny_config(), str(tmp_path / "run"), quiet=True)
    summary = (tmp_path / "run" / "summary.json").read_bytes()
    (tmp_path / "run" / "summary.json").unlink()
    read = live.entries

    def ending(*arguments):
        found = read(*arguments)
        (tmp_path / "run" / "summary.json").write_bytes(summary)
        return found

    monkeypatch.setattr(live, "entries", ending)
    followed = Followed(tmp_path / "run", [], "command")
    (entry,) = [entry for _, entry in followed._kept]
    assert entry.summary["step"] == run.summary["step"]
