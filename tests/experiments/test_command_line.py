"""What a command line says about its config, and what it is told where that is wrong."""

import ast
import dataclasses
import re

import pytest
from absl import flags

from configs import copy_first
from experiments import usage
from experiments.datasets.sources import SOURCES
from experiments.settings.descriptions import described
from experiments.settings.options import settable
from experiments.settings.resolution import resolve
from experiments.system import commandline, manual
from experiments.system.files import RunError
from gru_jax import TASKS, FieldError
from tests.programs import ROOT, tiny_config

PROGRAM = dataclasses.replace(
    usage.TRAIN, flags=(*usage.CONFIG, manual.Flag("workers", "N", "", 0, "integer"))
)
COPY = f"--config={ROOT}/configs/copy_first.py"


def parsed(*arguments):
    """The flags of a program with these arguments."""
    values = flags.FlagValues()
    commandline.define(PROGRAM.flags, values)
    commandline.parse(["program", *arguments], values, PROGRAM, settable)
    return values


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "changes"),
    [
        (["--config.train.target=None"], {"train.target": None}),
        (
            ["--config.model.keeping_bias=1.5", "--config.model.keeping_bias=None"],
            {"model.keeping_bias": None},
        ),
        (["--config.model.keeping_bias", "-1"], {"model.keeping_bias": -1.0}),
        (["--config.train.steps", "50"], {"train.steps": 50}),
        (["--config.task.length=0x20"], {"task.length": 32}),
        (["-config.optimizer.beta1=5e-1"], {"optimizer.beta1": 0.5}),
        (["--config.model.bidirectional"], {"model.bidirectional": True}),
        (
            ["--config.model.bidirectional", "--noconfig.model.bidirectional"],
            {"model.bidirectional": False},
        ),
        (["--config.model.hidden_sizes=(8,9)"], {"model.hidden_sizes": (8, 9)}),
        (["--config.model.hidden_sizes=8,9"], {"model.hidden_sizes": (8, 9)}),
        (["--config.model.hidden_sizes=[8]"], {"model.hidden_sizes": (8,)}),
        (["--config.model.hidden_sizes=8"], {"model.hidden_sizes": (8,)}),
        (["--config.name=a=b"], {"name": "a=b"}),
    ],
)
def test_overrides(arguments, changes):
    expected = copy_first.get_config()
    expected.update_from_flattened_dict(changes)
    for file in ([COPY], COPY.split("=")):
        values = parsed(*file, *arguments, "--workers=3")
        assert values.config.to_dict() == expected.to_dict()
        assert values.workers == 3


def partial(folder, name):
    """--config of a file that names a task and none of its options."""
    file = folder / f"{name}.py"
    file.write_text(
        "from configs import common\n\n"
        "def get_config():\n    config = common.get_config()\n"
        f"    config.task.name = {name!r}\n    return config\n"
    )
    return f"--config={file}"


@pytest.mark.quick
@pytest.mark.parametrize("name", [*TASKS, *SOURCES])
def test_every_option_of_a_task_can_be_set_though_no_file_names_it(name, tmp_path):
    file = partial(tmp_path, name)
    given = re.findall(r"^  --config\.task\.(\w+)=(.*)$", described(name), re.MULTILINE)
    assert given
    values = {option: ast.literal_eval(value) for option, value in given}
    set_ = [f"--config.task.{option}={value}" for option, value in values.items()]
    assert parsed(file, *set_).config.task.to_dict() == {"name": name, **values}
    named = [*set_, f"--config.task.name={name}"]  # at the end
    assert parsed(COPY, *named).config.task.to_dict() == {"name": name, "length": 100, **values}


@pytest.mark.quick
def test_options_that_no_file_names_are_of_their_own_kinds(tmp_path):
    flip_flop, text = partial(tmp_path, "flip_flop"), partial(tmp_path, "text")
    ignore = parsed(flip_flop, "--config.task.ignore=0").config.task.ignore
    assert (type(ignore), ignore) == (float, 0.0)
    assert parsed(text, "--config.task.label_column=2").config.task.label_column == "2"
    assert parsed(text, "--config.task.threshold=3").config.task.threshold == 3.0
    with pytest.raises(FieldError, match=r"^config.task.ignore = 'x': must be a number$"):
        parsed(flip_flop, "--config.task.ignore=x")
    wrong = (
        r"^config.task.depth = '3': must be left out: no such field: it has name, ignore, length$"
    )
    with pytest.raises(FieldError, match=wrong):
        parsed(flip_flop, "--config.task.depth=3")
    with pytest.raises(FieldError, match=r"^config.task.ignroe = .*did you mean 'ignore'"):
        parsed(flip_flop, "--config.task.ignroe=0.5")
    with pytest.raises(FieldError, match=r"^config.task.name = 'nothing': must be one of adding"):
        parsed(COPY, "--config.task.name=nothing", "--config.task.ignore=1")


@pytest.mark.quick
def test_every_optional_field_that_a_config_sets_can_be_unset(tmp_path):
    """A config that sets all of them, each of which is unset on the command line."""
    base = resolve(tiny_config(**{"train.target": None})).config
    optional = [
        f"{section}.{name}"
        for section, found in base.items()
        if isinstance(found, dict)
        for name, value in found.items()
        if value is None
    ]
    assert optional == ["model.keeping_bias", "train.target"]
    file = tmp_path / "mine.py"
    lines = "".join(f"    config.{path} = 0.5\n" for path in optional)
    file.write_text(
        "from configs import adding\n\n"
        f"def get_config():\n    config = adding.get_config()\n{lines}    return config\n"
    )
    unset = [f"--config.{path}=None" for path in optional]
    assert resolve(parsed(f"--config={file}").config).config["train"]["target"] == 0.5
    found = resolve(parsed(f"--config={file}", *unset).config).config
    assert (found["model"]["keeping_bias"], found["train"]["target"]) == (None, None)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config.train.steps", "abc"], "config.train.steps = 'abc': must be a whole number"),
        (["--config.train.target=x"], "config.train.target = 'x': must be a number"),
        (["--config.model.bidirectional=x"], ".* = 'x': must be true or false"),
        (["--config.model.hidden_sizes=(8"], r".* = '\(8': must be a list, like \(64,32\)"),
        (["--config.model=3"], "config.model = '3': must be given field by field: .*bidirectional"),
        (["--config.modle.x=3"], "config.modle = '3': .*did you mean 'model'"),
        (["--config.train.steps.x=3"], "config.train.steps.x = '3': must be left out: no such"),
    ],
)
def test_overrides_that_are_no_values(arguments, message):
    with pytest.raises(FieldError, match=f"^{message}"):
        parsed(COPY, *arguments)


@pytest.mark.quick
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--config is missing: give one"),
        (["--config"], "--config is missing its file"),
        (["--config.train.steps=3"], "config.train.steps without --config=FILE"),
        ([COPY, "--wrokers=3"], "Unknown command line flag 'wrokers'. Did you mean: workers"),
        ([COPY, "--", "--config.train.steps=3"], "unexpected argument '--config.train.steps=3'"),
    ],
)
def test_arguments_that_no_program_takes(arguments, message):
    with pytest.raises(flags.Error, match=f"^{re.escape(message)}"):
        parsed(*arguments)


CONFIGS = {
    "\nimport nothing_of_that_name": ":2: ModuleNotFoundError: No module named 'nothing_of",
    "def get_config():\n    return config": ":2: NameError: name 'config' is not defined",
    "from configs import adding\ndef get_config():\n    config = adding.get_config()\n"
    "    config.train.steps = 'many'": ":4: TypeError: Could not override field 'steps'",
    "x = (": ":1: SyntaxError: '(' was never closed",
    "def config(): pass": " has no get_config()",
    "def get_config(): pass": ": get_config() returns None, no config",
    "def get_config(): return 3": ": get_config() returns 3, no config",
}


@pytest.mark.quick
@pytest.mark.parametrize("code", CONFIGS, ids=CONFIGS.get)
def test_a_config_file_with_a_mistake(code, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(code)
    with pytest.raises(RunError, match=f"^{re.escape(f'--config: {file}{CONFIGS[code]}')}"):
        parsed(f"--config={file}")


@pytest.mark.quick
def test_a_config_may_be_a_dict(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "from configs import adding\ndef get_config(): return adding.get_config().to_dict()"
    )
    assert parsed(f"--config={file}", "--config.train.steps=50").config.train.steps == 50


@pytest.mark.quick
def test_an_error_of_ours_is_a_bug_and_one_of_a_users_file_is_not(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text("def wrong():\n    return 1 / 0\n")
    theirs = commandline.own.imported(str(file)).wrong
    assert commandline.guarded(lambda: 1 // 0) == 1
    assert capsys.readouterr().err.startswith("error: unforeseen ZeroDivisionError: ")
    assert commandline.guarded(theirs) == 2
    assert capsys.readouterr().err == f"error: {file}:2: ZeroDivisionError: division by zero\n"
