"""Characters that matplotlib's own font lacks, such as Chinese ones and emoji, in any figure."""

import contextlib
import os
from collections.abc import Iterator

import matplotlib
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

# Their glyphs are boxes, or pictures that matplotlib cannot draw.
USELESS = ("Last Resort", "LastResort", "Color Emoji")
_families: dict[str, str | None] = {}  # of characters that were looked for; None: nowhere


def make_legible(figure: Figure) -> None:
    """Gives every text of the figure fonts that have its characters.

    A character that no installed font has is written as its escape sequence, such as \\u4f60.
    """
    lacking = {text: found for text in figure.findobj(Text) if (found := _lacking(text))}
    _find(set().union(*lacking.values()))
    for text, characters in lacking.items():
        families = {family for each in characters if (family := _families[each])}
        text.set_fontfamily([*text.get_fontfamily(), *sorted(families)])
        nowhere = {each for each in characters if not _families[each]}
        escapes = {ord(each): each.encode("unicode_escape").decode() for each in nowhere}
        text.set_text(text.get_text().translate(escapes))


def _lacking(text: Text) -> set[str]:
    """Characters of a text that its font does not have."""
    characters = {each for each in text.get_text() if not each.isascii()}
    if not characters:
        return characters
    known = get_font(findfont(text.get_fontproperties())).get_charmap()
    return {each for each in characters if ord(each) not in known}


def _find(characters: set[str]) -> None:
    """Looks for the families that have these characters."""
    left = characters - _families.keys()
    for family, path in _installed() if left else ():
        with contextlib.suppress(RuntimeError, OSError):  # a font that cannot be read
            found = {each for each in left if ord(each) in get_font(path).get_charmap()}
            _families.update(dict.fromkeys(found, family))
            left -= found
        if not left:
            return
    _families.update(dict.fromkeys(left, None))


def _installed() -> Iterator[tuple[str, str]]:
    """Families of the system and their files, plain faces first."""
    own = matplotlib.get_data_path() + os.sep  # of these only the usual one is for text
    entries = [entry for entry in fontManager.ttflist if not entry.fname.startswith(own)]
    plain = lambda entry: (entry.style != "normal", abs(int(entry.weight) - 400), entry.name)
    for entry in sorted(entries, key=plain):
        if not any(word in entry.name for word in USELESS):
            yield entry.name, entry.fname
