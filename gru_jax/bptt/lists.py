"""Taking lists apart and putting them together again."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any


def divided(values: Sequence[Any], *sizes: int) -> tuple[list[Any], ...]:
    """Consecutive lists of these sizes, and a list of the remaining values.

    >>> divided("abcde", 1, 2)
    (['a'], ['b', 'c'], ['d', 'e'])
    """
    ends = [0, *itertools.accumulate(sizes), len(values)]
    return tuple(list(values[a:b]) for a, b in itertools.pairwise(ends))


def chosen(values: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    """The values whose flag is True.

    >>> chosen("abc", [True, False, True])
    ['a', 'c']
    """
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def replaced(values: Sequence[Any], flags: Sequence[bool], others: Sequence[Any]) -> list[Any]:
    """The values, where each one whose flag is True is replaced by the next of `others`.

    >>> replaced("abc", [True, False, True], "xy")
    ['x', 'b', 'y']
    """
    rest = iter(others)
    return [next(rest) if flag else value for value, flag in zip(values, flags, strict=True)]
