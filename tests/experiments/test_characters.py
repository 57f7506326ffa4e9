"""Characters that a terminal or a font does not have."""

import io
import sys

import pytest
from matplotlib.font_manager import findfont, get_font

from experiments.figures import glyphs, style
from experiments.figures.gates import _shown
from experiments.system.commandline import guarded
from experiments.system.files import write_text
from gru_jax.tasks.dataset import LabelledSequences

ODD = "a \u4f60\U0001f9e0 \ud800"  # Chinese, an emoji, and half of one


@pytest.fixture
def installed(monkeypatch):
    """The fonts that the system is to have, by family."""
    fonts = {}
    monkeypatch.setattr(glyphs, "_families", {})
    monkeypatch.setattr(glyphs, "_installed", lambda: iter(fonts.items()))
    return fonts


def labelled(label):
    figure, (axis,) = style.panels((2, 2))
    axis.set_title(label)
    axis.plot([0, 1], label=label)
    axis.legend()
    assert style.saved(figure).startswith(b"\x89PNG")  # a warning would be an error here
    return axis.title, axis.get_legend().get_texts()[0]


def test_a_character_that_no_font_has_is_written_as_its_escape(installed):
    installed["Broken"] = __file__
    for text in labelled(ODD):
        assert text.get_text() == r"a \u4f60\U0001f9e0 \ud800"
    assert labelled("naïve")[0].get_text() == "naïve"


def test_a_character_is_drawn_with_a_font_that_has_it(installed):
    usual = get_font(findfont("DejaVu Sans")).get_charmap()
    family = "STIXNonUnicode"
    path = findfont(family)
    special = next(chr(code) for code in get_font(path).get_charmap() if code not in usual)
    installed[family] = path
    for text in labelled(f"a {special} \u4f60"):
        assert text.get_text() == rf"a {special} \u4f60"
        assert text.get_fontfamily()[-1] == family


def test_fonts_of_boxes_are_none():
    assert not [name for name, _ in glyphs._installed() if "Last Resort" in name]


def test_a_token_that_is_a_control_character_is_named():
    task = LabelledSequences(1, {}, kinds=3, tokens=True, token_names=("", "?", "\t\ud800"))
    assert _shown(task, 2) == r"\t\ud800"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_whatever_a_terminal_cannot_show_is_escaped(monkeypatch, encoding):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    assert guarded(lambda: print(ODD) or 0) == 0
    sys.stdout.flush()
    shown = written.getvalue().decode(encoding)
    assert r"\ud800" in shown
    assert ("\u4f60" in shown) == (encoding == "utf-8")


def test_what_is_no_character_is_escaped_in_a_file(tmp_path):
    write_text(tmp_path / "file", ODD)
    assert (tmp_path / "file").read_bytes().decode() == ODD.replace("\ud800", r"\ud800")
