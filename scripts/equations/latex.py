"""Equations as docstrings write them, as mathematics in LaTeX that GitHub shows.

    z = sigmoid(x W_z + h U_z + b_z)         update gate

is an equation and, behind at least two spaces, a note about it. Names are single letters with or
without a subscript, and those that NAMES has; a product has spaces, `*` where it is unit by unit.
"""

import inspect
import re
import textwrap
from collections.abc import Iterator

FUNCTIONS = {
    "sigmoid": r"\sigma",
    **{name: f"\\{name}" for name in ("tanh", "exp", "log", "max")},
    # GitHub allows no \operatorname.
    **{name: rf"\mathrm{{{name}}}" for name in ("sign", "relu", "activation", "LN", "Re")},
}
NAMES = {
    **FUNCTIONS,
    "dt": r"\Delta t",
    **{name: f"\\{name}" for name in ("beta", "gamma", "epsilon", "zeta", "theta", "nu")},
}
SYMBOLS = {"*": r"\odot", "^T": r"^\top", "|": r"\vert"}
PIECE = re.compile(r"\s*([A-Za-z]+(?:_[A-Za-z0-9])?'?|\d+|\^\w|[-+*/=(),|\[\]])")


def latex(block: str) -> str:
    r"""Lines of equations and notes, aligned at their first "=".

    >>> print(latex("h' = f / (f + i) * h     a note\nf = 1"))
    \begin{aligned}
    h' &= \frac{f}{f + i} \odot h && \text{a note} \\
    f &= 1
    \end{aligned}
    """
    rows = []
    for equation, note in lines(block):
        aligned = formula(equation).replace("=", "&=", 1)
        rows.append(aligned + (rf" && \text{{{note}}}" if note else ""))
    return "\n".join([r"\begin{aligned}", " \\\\\n".join(rows), r"\end{aligned}"])


def block(docstring: str) -> str:
    """The first indented paragraph of a class's docstring, which holds its equations."""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    return textwrap.dedent(next(each for each in paragraphs if each.startswith("    ")))


def lines(block: str) -> Iterator[tuple[str, str]]:
    """Each equation and the note about it, which may be empty."""
    for line in filter(None, map(str.strip, block.splitlines())):
        equation, *note = re.split(r"(?<![,\s])\s{2,}", line, maxsplit=1)
        yield equation, "".join(note)


def pieces(text: str) -> Iterator[str]:
    """The names, numbers and signs of an equation."""
    rest = text.strip()
    while rest:
        piece = PIECE.match(rest)
        if piece is None:
            raise ValueError(f"{rest!r} in {text!r}: is no mathematics")
        yield piece[1]
        rest = rest[piece.end() :].strip()


def formula(text: str) -> str:
    r"""One equation.

    >>> formula("A = S - gamma I,   S = -S^T")
    'A = S - \\gamma I, \\quad S = - S^\\top'
    >>> formula("h' = foo(x)")
    Traceback (most recent call last):
      ...
    ValueError: 'foo' in "h' = foo(x)": must be a letter, with a subscript or without, or of NAMES
    """
    return _sum(pieces(text), text, end="")


def _sum(rest: Iterator[str], text: str, end: str) -> str:
    """All up to the closing bracket `end`, which is taken, too."""
    parts: list[str] = []
    divides = False
    for piece in rest:
        if piece == end:
            return _joined(parts, r" \; " if end == "]" else " ")
        if piece in "([":
            inner = _sum(rest, text, ")" if piece == "(" else "]")
            part = inner if divides else f"({inner})" if piece == "(" else f"[{inner}]"
        elif piece in ")]":
            raise ValueError(f"{text!r} has a {piece!r} too many")
        elif piece == ",":
            part = "," if end else r", \quad"
        else:
            part = SYMBOLS.get(piece) or _name(piece, text)
        if piece == "/":
            divides = True
        elif divides:
            parts.append(rf"\frac{{{parts.pop()}}}{{{part}}}")
            divides = False
        else:
            parts.append(part)
    if end:
        raise ValueError(f"{text!r} lacks {end!r}")
    return _joined(parts, " ")


def _joined(parts: list[str], space: str) -> str:
    """An argument stands at its function, a power at its base."""
    text = ""
    for before, part in zip(["", *parts], parts, strict=False):
        applied = before in FUNCTIONS.values() and part.startswith("(")
        text += part if not text or applied or part[0] in "^," else space + part
    return text


def _name(piece: str, text: str) -> str:
    if not piece[0].isalpha():
        return piece
    base, prime = piece.rstrip("'"), "'" * piece.count("'")
    if base in NAMES:
        return NAMES[base] + prime
    if len(base.partition("_")[0]) > 1:
        allowed = "must be a letter, with a subscript or without, or of NAMES"
        raise ValueError(f"{piece!r} in {text!r}: {allowed}")
    return base + prime
