"""A run or a sweep in the browser while it goes on: what is answered, to whom, at what cost."""

import contextlib
import http.client
import json
import math
import os
import queue
import re
import signal
import socket
import threading
import time
import types

import jax
import pytest

from experiments import watch
from experiments.reports import charts, live
from experiments.reports.live import Followed
from experiments.settings.trials import described
from experiments.sweeps.folder import SweepFolder
from experiments.system.files import RunError
from experiments.watch import Handler, served
from tests.browser import probed, visited
from tests.programs import Started, one_line, program, tiny, tiny_config
from tests.sweeping import pretend

pytestmark = pytest.mark.usefixtures("least_effort")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """However long a page takes, it is made anew at the next request."""
    monkeypatch.setattr(live, "SHARE", math.inf)


def cells(add):
    for length in (6, 9):
        for cell in ("gru", "lstm"):
            add(f"T{length}-{cell}", {"model.cell": cell, "task.length": length})


def under_way(folder):
    """A sweep of which one trial is half done, and another one waits."""
    pretend(folder, cells)
    for name in ("T9-gru", "T9-lstm"):
        (folder / "trials" / name / "summary.json").unlink()
    half = folder / "trials" / "T9-gru"
    rows = (half / "metrics.jsonl").read_text().splitlines(keepends=True)
    (half / "metrics.jsonl").write_text("".join(rows[:16]) + rows[16][:9])
    (half / "lock.json").write_text("{}")
    (folder / "trials" / "T9-lstm" / "metrics.jsonl").unlink()
    return folder


def finish(folder, name):
    """The trial ends as the others did."""
    for file in ("metrics.jsonl", "summary.json"):
        (folder / "trials" / name / file).write_text(
            (folder / "trials" / "T6-gru" / file).read_text()
        )
    (folder / "trials" / name / "lock.json").unlink(missing_ok=True)


@contextlib.contextmanager
def serving(followed):
    """The port at which it is served."""
    with served(followed, 0) as server:
        assert server.server_address[0] == "127.0.0.1", "no other machine can reach it"
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def ask(port, path="/", method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return types.SimpleNamespace(status=answer.status, headers=answer.headers, text=text)


def follow(folder):
    return Followed(folder, (), "python -m experiments.watch --run=DIR", pause=0)


def words(text):
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def test_a_run_before_it_trains_while_it_does_and_after(tmp_path):
    """With the real program, whose folder is only read."""
    workdir = tmp_path / "run"
    steps = {"train.steps": 800, "train.checkpoint_every": 400}
    flags = ["--config=configs/adding.py", f"--workdir={workdir}", *tiny(**steps)]
    with Started("train", *flags) as training:
        wait = lambda found: _wait(found, training)
        wait(lambda: (workdir / "config.json").exists())
        with serving(follow(workdir)) as port:
            before = ask(port)
            assert before.status == 200
            assert "Under way" not in before.text
            wait(lambda: "Under way" in ask(port).text)
            during = words(ask(port).text)
            assert re.search(r"1 trial \(1 running\)", during)
            assert re.search(r"run running \d+ of 800", during)
            training.communicate(timeout=60)
            assert training.returncode == 0
            files = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
            after = words(ask(port).text)
            assert "100 % of the work is done; nothing is running" in after
            assert "1 trial (1 done)" in after
            assert "Under way" not in after
            assert files == {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}


def _wait(found, training):
    for _ in range(600):
        if found():
            return
        assert training.poll() in (None, 0), training.communicate()
        time.sleep(0.05)
    raise AssertionError("it has not come within 30 s")


def test_a_sweep_under_way(tmp_path):
    followed = follow(folder := under_way(tmp_path / "sweep"))
    text = words(followed.current()[0])
    assert "4 trials (2 done, 1 running, 1 waiting)" in text
    assert "T9-gru running 20 of 40 0.11" in text, "0.17 - 0.003 x 20, the median of its seeds"
    assert "gru 93 1 of 1 8/8 55 updates running 20 of 40" in text
    lock = folder / "trials" / "T9-gru" / "lock.json"
    lock.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**30}))  # was killed
    assert "4 trials (2 done, 2 waiting)" in words(followed.current()[0])
    finish(folder, "T9-gru")
    text = words(followed.current()[0])
    assert "4 trials (3 done, 1 waiting)" in text
    assert "gru 93 2 of 2 8/8 55 updates 8/8 55 updates" in text
    assert "Under way" not in text


def test_only_what_has_changed_is_read_and_drawn_again(tmp_path, monkeypatch):
    folder = under_way(tmp_path / "sweep")
    followed = follow(folder)
    one = followed.current()
    drawn, image = [], charts._image
    monkeypatch.setattr(charts, "_image", lambda *args: drawn.append(1) or image(*args))
    assert followed.current() == one
    assert not drawn
    metrics = folder / "trials" / "T9-gru" / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write(" " * 3)
    assert followed.current()[0]
    assert len(drawn) == 1, "the curves of T = 9, not those of T = 6, nor the figure over T"


def test_a_page_that_takes_long_is_made_less_often(tmp_path, monkeypatch):
    folder = under_way(tmp_path / "sweep")
    now = types.SimpleNamespace(time=100.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.time)
    monkeypatch.setattr(live, "SHARE", 0.05)
    followed = Followed(folder, (), "again", pause=5)
    rendered, made = followed._rendered, []

    def slow():
        now.time += 2
        made.append(now.time)
        return rendered()

    monkeypatch.setattr(followed, "_rendered", slow)
    for wait, count in ((0, 1), (4, 1), (2, 2), (30, 2), (11, 3)):
        now.time += wait
        (folder / "failed" / "T9-gru.json").write_text(json.dumps({"reason": f"{now.time}"}))
        followed.current()
        assert len(made) == count, f"after {wait} s more"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:1234"}, 200),  # through a tunnel
        ({"Host": "LOCALHOST"}, 200),
        ({"Host": "attacker.example:8765"}, 403),
        ({"Host": "127.0.0.1.attacker.example"}, 403),
        ({"Host": "localhost@attacker.example"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "["}, 403),
        ({"path": "/summary.json"}, 404),
        ({"path": "/../config.json"}, 404),
        ({"path": "/?x"}, 404),
        ({"method": "POST"}, 405),
        ({"method": "HEAD"}, 405),
        ({"method": "BREW"}, 501),
    ],
    ids=str,
)
def test_who_is_answered(port, request_, status):
    found = ask(port, **request_)
    assert found.status == status
    if status == 405:
        assert found.headers["Allow"] == "GET"
    if status != 200:
        assert "<h1>sweep</h1>" not in found.text


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    with serving(follow(under_way(tmp_path_factory.mktemp("watched") / "sweep"))) as found:
        yield found


def test_a_page_that_is_known_is_not_sent_again(port):
    first = ask(port)
    assert first.headers["Cache-Control"] == "no-cache"
    again = ask(port, If_None_Match=first.headers["ETag"])
    assert (again.status, again.text) == (304, "")
    assert ask(port, If_None_Match='"another"').status == 200


def test_damage_is_told_until_it_is_mended(tmp_path):
    folder = under_way(tmp_path / "sweep")
    summary = folder / "trials" / "T6-gru" / "summary.json"
    sound = summary.read_text()
    with serving(follow(folder)) as port:
        assert ask(port).status == 200
        summary.write_text("{}")
        for _ in range(2):
            found = ask(port)
            assert found.status == 503
            assert "summary.json is damaged" in found.text
        summary.write_text(sound)
        assert ask(port).status == 200


def test_an_error_is_a_line_and_a_browser_that_is_gone_is_none(port, monkeypatch, capfd):
    def gone(_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(Handler, "do_GET", gone)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(port)
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(Handler, "do_GET", lambda _: 1 / 0)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(port)
    assert one_line(capfd.readouterr().err)


def test_a_page_that_could_not_be_made_is_made_the_next_time(tmp_path, monkeypatch):
    folder = under_way(tmp_path / "sweep")
    followed = follow(folder)
    followed.current()
    finish(folder, "T9-gru")
    with monkeypatch.context() as patch:
        patch.setattr("experiments.reports.live.page", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            followed.current()
    assert "3 done" in followed.current()[0]


def test_trials_that_are_added_are_shown(tmp_path):
    folder = under_way(tmp_path / "sweep")
    followed = follow(folder)
    assert "4 trials" in followed.current()[0]

    def more(add):
        cells(add)
        add("T12-gru", {"task.length": 12})

    base = tiny_config(**{"population.seeds": 8, "train.target": 0.1})
    SweepFolder(folder).open(described(base.to_dict(), more))
    assert "5 trials" in followed.current()[0]


KEPT = """
const find = selector => document.querySelector(selector);
const rows = () => [...document.querySelectorAll("#league tbody tr")];
const names = () => rows().map(row => row.cells[0].textContent);
const input = find("#filter [name=name]");
document.querySelectorAll("#league thead button")[0].click();
document.querySelectorAll("#league thead button")[0].click();
input.value = "l";
input.dispatchEvent(new Event("input", {bubbles: true}));
find("#league tbody .standing button").click();
const opened = find(":popover-open").id;
scrollTo(0, 300);
input.focus();
const before = {said: find("main > .soft").textContent, names: names()};
for (let i = 0; i < 300 && find("main > .soft").textContent === before.said; i++) {
  await new Promise(done => setTimeout(done, 50));
}
return {
  before: before.said, after: find("main > .soft").textContent, status: find("#status").textContent,
  sorted: [before.names, names()], order: find("#league th").ariaSort,
  hidden: rows().map(row => row.hidden),
  typed: find("#filter [name=name]").value, focused: document.activeElement.name,
  opened: find(":popover-open")?.id === opened, scrolled: scrollY,
};
"""


def test_a_browser_keeps_what_was_chosen_when_the_page_changes(chromium, tmp_path, monkeypatch):
    folder = under_way(tmp_path / "sweep")
    followed, asked = follow(folder), queue.Queue()
    followed.current()  # drawn before anybody waits for it
    pages, answer = [], Handler.do_GET

    def noted(handler):
        if handler.path == "/" and pages:
            finish(folder, "T9-gru")
        pages.extend(["/"] * (handler.path == "/"))
        asked.put(handler.path)
        answer(handler)

    monkeypatch.setattr(Handler, "do_GET", noted)
    current = followed.current
    followed.current = lambda: (probed(current()[0], KEPT), current()[1])
    with serving(followed) as port:
        found = visited(chromium, port, tmp_path, asked)
    assert found["errors"] == []
    told = found["told"]
    assert told["before"].startswith("4 trials (2 done, 1 running, 1 waiting)")
    assert told["after"].startswith("4 trials (3 done, 1 waiting)")
    del told["before"], told["after"]
    assert told == {
        "status": "",
        "sorted": [["lstm", "gru"], ["lstm", "gru"]],
        "order": "descending",
        "hidden": [False, True],
        "typed": "l",
        "focused": "name",
        "opened": True,
        "scrolled": 300,
    }


def test_the_program_goes_last_and_ends_with_control_c(tmp_path):
    folder = under_way(tmp_path / "sweep")
    with Started("watch", f"--run={folder}", "--port=0") as watching:
        printed = watching._printed[0]
        _wait(lambda: printed.exists() and "http" in printed.read_text(), watching)
        (port,) = re.findall(r"http://127\.0\.0\.1:(\d+)/ follows", printed.read_text())
        assert ask(int(port)).status == 200
        mine = os.getpriority(os.PRIO_PROCESS, 0)
        assert os.getpriority(os.PRIO_PROCESS, watching.pid) == min(19, mine + 10)
        watching.send_signal(signal.SIGINT)
        _, errors = watching.communicate(timeout=20)
    assert (watching.returncode, errors) == (0, "")


def test_an_accelerator_is_left_to_the_run(tmp_path, monkeypatch):
    """JAX would take most of its memory at the first use."""
    folder, before = under_way(tmp_path / "sweep"), jax.config.jax_platforms
    seen = []

    def listening(followed, port):
        seen.append(jax.config.jax_platforms)
        raise RunError(f"{type(followed).__name__} {port}")

    monkeypatch.setattr(watch, "served", listening)
    monkeypatch.setattr(os, "nice", seen.append)
    options = types.SimpleNamespace(run=str(folder), port=3, data=[])
    monkeypatch.setattr(watch.flags, "FLAGS", options)
    try:
        with pytest.raises(RunError, match="Followed 3"):
            watch.main()
    finally:
        jax.config.update("jax_platforms", before)
    assert seen == [10, "cpu"]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "missing: --run"),
        (["--run=nowhere"], "nowhere holds neither a sweep nor a run"),
        (["--run=."], ". holds neither a sweep nor a run"),
        (["--run=sweep", "--port=70000"], "--port = 70000: must be a whole number, in 0..65535"),
        (["--run=sweep", "--port=x"], "--port"),
        (["--run=sweep", "--port=TAKEN"], "must be a free port above 1023, or 0 for any: address"),
    ],
)
def test_bad_input_is_one_line(tmp_path, flags, message):
    under_way(tmp_path / "sweep")
    empty = tmp_path / "empty"
    empty.mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        flags = [
            flag.replace("TAKEN", port).replace("=sweep", f"={tmp_path}/sweep") for flag in flags
        ]
        found = program("watch", *flags, expect=2, cwd=empty)
    assert one_line(found.stderr)
    assert message in found.stderr
