"""Lists that are taken apart and put together again."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any


def divided(values: Sequence[Any], *sizes: int) -> tuple[list[Any], ...]:
    """The values in lists of these sizes, and the rest.

    >>> divided("abcde", 1, 2)
    (['a'], ['b', 'c'], ['d', 'e'])
    """
    ends = [0, *itertools.accumulate(sizes), len(values)]
    return tuple(list(values[a:b]) for a, b in itertools.pairwise(ends))


def chosen(values: Iterable[Any], flags: Iterable[bool]) -> list[Any]:
    """The values that have a flag.

    >>> chosen("abc", [True, False, True])
    ['a', 'c']
    """
    return [value for value, flag in zip(values, flags, strict=True) if flag]


def replaced(values: Sequence[Any], flags: Sequence[bool], others: Sequence[Any]) -> list[Any]:
    """The values, those with a flag by the others in turn.

    >>> replaced("abc", [True, False, True], "xy")
    ['x', 'b', 'y']
    """
    rest = iter(others)
    return [next(rest) if flag else value for value, flag in zip(values, flags, strict=True)]
