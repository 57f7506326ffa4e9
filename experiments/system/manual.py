"""What a program is for, examples of it, and its flags: the page that --help prints.

It imports nothing but Python's own modules, so that this page is there at once.
"""

import dataclasses
import os
import sys
import textwrap
from typing import Any

WIDTH = 80
COLUMN = 24  # where the texts of flags begin
FIELD, SWITCH = "field", "bool"


@dataclasses.dataclass(frozen=True)
class Flag:
    """A flag of a program.

    takes: its value as the page shows it; empty for a switch.
    kind: its kind in absl's flags; `FIELD` for the fields of a config, which are read apart.
    """

    name: str
    takes: str
    text: str
    default: Any = None
    kind: str = "string"
    required: bool = False

    def lines(self) -> str:
        """The flag as the page shows it. Of a switch that is on, it shows how to turn it off."""
        off = "no" if self.default is True else ""
        head = f"  --{off}{self.name}" + (f"={self.takes}" if self.takes else "")
        shown = not (self.default is None or isinstance(self.default, bool | list))
        text = self.text + (f" (default: {self.default})" if shown else "")
        margin = " " * COLUMN
        if len(head) + 2 > COLUMN:
            return "\n".join([head, *_wrapped(text, margin, margin)])
        return "\n".join(_wrapped(text, head.ljust(COLUMN), margin))


@dataclasses.dataclass(frozen=True)
class Program:
    """A program, `python -m experiments.NAME`.

    examples: what each does, and its arguments; those that do not fit a line are folded.
    more: what else to know, in paragraphs.
    takes: what its arguments beside flags are, as the page shows them.
    """

    name: str
    purpose: str
    examples: tuple[tuple[str, str], ...]
    flags: tuple[Flag, ...]
    more: tuple[str, ...] = ()
    takes: str = ""

    def page(self) -> str:
        """What --help prints."""
        command = f"python -m experiments.{self.name}"
        examples = [
            f"  # {what}\n" + " \\\n".join(_wrapped(f"{command} {how}", "  ", "      ", room=2))
            for what, how in self.examples
        ]
        parts = [
            _wrapped(self.purpose),
            ["Usage: " + " ".join([command, *[self.takes] * bool(self.takes), "[FLAGS]"])],
            ["Examples:", *examples],
            *map(_wrapped, self.more),
            ["Flags:", *(each.lines() for each in (*self.flags, IMPORT, HELP))],
        ]
        return "\n\n".join(map("\n".join, parts))

    def answer(self) -> None:
        """Prints the page and ends the program, if its arguments ask for it."""
        if {"--help", "-h"} & set(sys.argv):
            try:
                print(self.page(), flush=True)
            except BrokenPipeError:  # its reader was left; Python would try again at its end
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(0)


def _wrapped(text: str, first: str = "", rest: str = "", room: int = 0) -> list[str]:
    return textwrap.wrap(
        text,
        WIDTH - room,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


HELP = Flag("help", "", "print this page", kind=SWITCH)
IMPORT = Flag(
    "import",
    "FILE",
    "a Python file that registers your own cells or tasks; may be repeated",
    [],
    "multi_string",
)
