"""The equations of docstrings as mathematics: the same symbols, in the same order."""

import doctest
import inspect
import re
import textwrap

import pytest

from gru_jax import CELLS
from scripts.equations import latex
from scripts.paper import cells

WORDS = {r"\Delta t": "dt", r"\odot": "*", r"\vert": "|", r"\top": "T", r"\sigma": "sigmoid"}


def read(latex):
    """The letters, numbers and signs of an equation in LaTeX, as a docstring has them."""
    for command, word in WORDS.items():
        latex = latex.replace(command, f" {word} ")
    latex = re.sub(r"\\(?:begin|end)\{\w+\}|\\(?:quad|mathrm|text|\\|;)|&", " ", latex)
    latex = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\1 / \2", latex)
    return symbols(latex.replace("\\", " "))


def symbols(text):
    return re.findall(r"[A-Za-z]+(?:_\w)?'?|\d+|[^\w\s(){}\[\]]", text)


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
def test_nothing_of_an_equation_is_lost(cell):
    paragraphs = inspect.cleandoc(cell.__doc__).split("\n\n")
    block = textwrap.dedent(next(each for each in paragraphs if each.startswith("    ")))
    found = latex.latex(block)
    assert read(found) == symbols(block)
    assert found.count("&=") == len(block.strip().splitlines())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h' = foo(x)", "'foo' in"),
        ("h' = x # 1", "no mathematics"),
        ("h' = tanh(x", "lacks"),
        ("h' = tanh(x))", "too many"),
    ],
)
def test_what_is_no_equation_is_refused(text, said):
    with pytest.raises(ValueError, match=said):
        latex.latex(text)


@pytest.mark.parametrize("module", [latex, cells])
def test_examples_run(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_a_cell_is_recommended_for_what_it_learned():
    named = [
        re.split(r", (?!see)", re.search(r": (?:also )?(.*?)(?:, see.*|\.(?: .*)?)$", line)[1])
        for line in cells.choice().splitlines()
    ]
    sums = {cell.TITLE: cells._zoo(name) for name, cell in CELLS.items()}
    solved = lambda title: tuple(2 * each.solved >= each.seeds for each in sums[title])
    both, far, parallel, neither = named
    assert sorted(both + far + neither) == sorted(sums)
    assert {*map(solved, both)} == {(True, True)}
    assert {*map(solved, far)} == {(True, False)}
    assert {*map(solved, neither)} == {(False, False)}
    assert {*parallel} == {cell.TITLE for cell in CELLS.values() if cell.LINEAR}
    steps = [sums[title][0].median_steps for title in both]
    assert steps == sorted(steps)
