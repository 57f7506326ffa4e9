"""Bad arguments of the scripts take one line and exit with 2, as those of the programs do."""

import importlib
import sys

import pytest

from experiments.system.commandline import guarded
from tests.programs import ROOT, one_line

SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for folder in ("scripts", "experiments")
    for path in (ROOT / folder).rglob("*.py")
    if 'if __name__ == "__main__"' in (text := path.read_text())
    and ("Parser(" in text or "collect(__doc__" in text)
)


def ended(script, arguments, monkeypatch, capsys):
    """The status with which a script ends, and what it prints to standard error."""
    module = importlib.import_module(script)
    main = getattr(module, "main", None) or (lambda: module.pages.collect("", module.measure))
    monkeypatch.setattr(sys, "argv", [script, *arguments])
    with pytest.raises(SystemExit) as caught:
        sys.exit(guarded(main))
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize("script", SCRIPTS)
def test_arguments_that_there_are_not(script, monkeypatch, capsys):
    status, told = ended(script, ["--nonsense=1"], monkeypatch, capsys)
    assert status == 2
    assert one_line(told), told
    assert "--nonsense=1" in told or "arguments are required: " in told
    assert told.endswith("(see --help)\n")


@pytest.mark.parametrize(
    ("script", "argument", "message"),
    [
        ("fuzz", "--cases=0", "--cases = 0: must be a whole number, at least 1"),
        ("kills", "--lanes=0", "--lanes = 0: must be a whole number, at least 1"),
        ("soak", "--minutes=nan", "--minutes = nan: must be a finite number above 0"),
        ("mutants", "--lanes=x", "argument --lanes: invalid int value: 'x' (see --help)"),
    ],
)
def test_values_that_are_not_allowed(script, argument, message, monkeypatch, capsys):
    status, told = ended(f"scripts.endurance.{script}", [argument], monkeypatch, capsys)
    assert (status, told) == (2, f"error: {message}\n")
