"""How programs speak: tables, commands and times as a person reads them."""

import os
import sys
from pathlib import Path

import rich.console


def console() -> rich.console.Console:
    """A console that is wide enough for a table even if the output is a file."""
    found = rich.console.Console(highlight=False)
    return found if found.is_terminal else rich.console.Console(highlight=False, width=120)


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
