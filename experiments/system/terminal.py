"""How programs speak: tables, commands and times as a person reads them."""

import codecs
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import rich.console

from gru_jax import fields


def console() -> rich.console.Console:
    """A console that is wide enough for a table even if the output is a file."""
    found = rich.console.Console(highlight=False)
    return found if found.is_terminal else rich.console.Console(highlight=False, width=120)


def visible(parts: Iterable[bytes]) -> Iterator[str]:
    r"""A text in UTF-8, part by part, as a terminal may be given it.

    Control characters, which could rewrite the screen, are escaped, and so are bytes that are no
    characters. New lines, tabs and spaces stay.

    >>> "".join(visible([b"a\n\t", b"\x1b[2J", b"\xc3", b"\xa9", b"\xff"]))
    'a\n\t\\x1b[2Jé\\xff'
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for part in parts:
        yield _escaped(decoder.decode(part))
    yield _escaped(decoder.decode(b"", final=True))


def _escaped(text: str) -> str:
    stays = lambda each: each in "\n\t" or unicodedata.category(each) == "Zs"
    return "".join(each if stays(each) else fields.printable(each) for each in text)


def tool(name: str) -> str:
    """A command of this Python's environment, as a user would type it here."""
    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else name


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(8), duration(90), duration(9000)
    ('8 s', '2 min', '2.5 h')
    """
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
