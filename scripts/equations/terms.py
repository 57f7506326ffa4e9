"""The equations of a docstring as terms, to calculate with."""

import re
from collections import deque
from collections.abc import Iterator
from typing import Any

from scripts.equations.latex import FUNCTIONS, lines, pieces

# ("name", "W_z"), ("call", "tanh", term), or an operation: ("+", term, term). "@" is a product
# without a sign, of which either side may be a matrix. In a node, ("input", k) is its k-th input.
Term = tuple[Any, ...]
SETTING = re.compile(r'(\w+)=("\w+"|\w+)')
WORDS = {
    "sigmoid": "σ",
    "dt": "Δt",
    **dict(zip(("beta", "gamma", "epsilon", "zeta", "nu", "theta"), "βγεζνθ", strict=True)),
}


def defined(block: str, options: dict[str, Any]) -> tuple[dict[str, Term], dict[str, str]]:
    """The right side of each equation that counts, and the words for it, by its left side."""
    definitions: dict[str, Term] = {}
    names: dict[str, str] = {}
    values = {k: f'"{v}"' if isinstance(v, str) else str(v) for k, v in options.items()}
    for text, note in lines(block):
        if any(values.get(name, value) != value for name, value in SETTING.findall(note)):
            continue
        for equation in re.split(r",\s{2,}", text):
            left, _, right = equation.partition(" = ")
            heads, term = [head for head in pieces(left) if head not in "[]"], parsed(right)
            for k, head in enumerate(heads):
                if head in definitions:
                    raise ValueError(f"{head!r} of {equation!r} is defined twice")
                definitions[head] = ("item", term, k, len(heads)) if len(heads) > 1 else term
            if len(heads) == 1 and not re.search('["=]', first := re.split("[,;]", note)[0]):
                names[heads[0]] = first
        names |= dict(re.findall(r"\b(\w+) (\w+ gate|candidate)\b", note))
    return definitions, names


def parsed(text: str) -> Term:
    """The right side of an equation.

    >>> parsed("x W - tanh(h)")
    ('-', ('@', ('name', 'x'), ('name', 'W')), ('call', 'tanh', ('name', 'h')))
    """
    rest = deque(pieces(text))
    try:
        term = _sum(rest)
    except IndexError:
        raise ValueError(f"{text!r} lacks an end") from None
    if rest:
        raise ValueError(f"{' '.join(rest)!r} in {text!r} is too many")
    return term


def _sum(rest: deque[str]) -> Term:
    if rest[0] == "-":
        rest.popleft()
        term: Term = ("neg", _product(rest))
    else:
        term = _product(rest)
    while rest and rest[0] in "+-":
        term = (rest.popleft(), term, _product(rest))
    return term


def _product(rest: deque[str]) -> Term:
    term = _factor(rest)
    while rest and rest[0] not in "+-)],=|":
        sign = rest.popleft() if rest[0] in "*/" else "@"
        term = (sign, term, _factor(rest))
    return term


def _factor(rest: deque[str]) -> Term:
    piece = rest.popleft()
    if piece in "(|":
        term = _sum(rest)
        rest.popleft()
        term = ("call", "abs", term) if piece == "|" else term
    elif piece in FUNCTIONS and rest[0] == "(":
        arguments = []
        while rest.popleft() in "(,":
            arguments.append(_sum(rest))
            if rest[0] == ")":
                rest.popleft()
                break
        term = ("call", piece, *arguments)
    elif piece in FUNCTIONS:
        term = ("call", piece, _factor(rest))
    else:
        term = ("name", piece)
    if rest and rest[0] == "^T":
        rest.popleft()
        term = ("call", "T", term)
    return term


def is_term(part: Any) -> bool:
    return isinstance(part, tuple)


def parts(term: Term) -> Iterator[Term]:
    """A term and all that is in it."""
    yield term
    for part in term[1:]:
        if is_term(part):
            yield from parts(part)


def replaced(term: Term, old: Term, new: Term) -> Term:
    if term == old:
        return new
    return tuple(replaced(part, old, new) if is_term(part) else part for part in term)


def summands(term: Term, sign: str = "+") -> Iterator[tuple[str, Term]]:
    if term[0] not in ("+", "-", "neg"):
        yield sign, term
        return
    *first, last = term[1:]
    for part in first:
        yield from summands(part, sign)
    other = {"+": "-", "-": "+"}[sign]
    yield from summands(last, sign if term[0] == "+" else other)


def written(term: Term) -> str:
    """A term as a line of text, with "_" before an index."""
    if term[0] == "name":
        base, low, index = term[1].partition("_")
        return WORDS.get(base, base) + low + index
    if term[0] == "call":
        inner = ", ".join(map(written, term[2:]))
        return f"|{inner}|" if term[1] == "abs" else f"{written(('name', term[1]))}({inner})"
    if term[0] == "neg":
        return f"−{written(term[1])}"
    one, other = (
        f"({written(p)})" if term[0] in "*@/" and p[0] in "+-" else written(p) for p in term[1:]
    )
    sign = {"@": " ", "-": " − ", "*": " ⊙ "}.get(term[0], f" {term[0]} ")
    return f"{one}{sign}{other}"
