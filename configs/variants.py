"""Variants, and how to combine them: the vocabulary of sweep files.

A variant is a set of overrides with a name:

    CELLS = {"gru": {"model.cell": "gru"}, "lstm": {"model.cell": "lstm"}}
    LENGTHS = values("task.length", (50, 100), "T")

`product(LENGTHS, CELLS)` then holds T50-gru, T50-lstm, T100-gru and T100-lstm.
"""

import itertools
from collections.abc import Iterable
from typing import Any

Overrides = dict[str, Any]
Variants = dict[str, Overrides]


def values(field: str, allowed: Iterable[Any], label: str) -> Variants:
    """One variant for each value of a field, named by the label and the value.

    >>> values("task.length", (50, 100), "T")
    {'T50': {'task.length': 50}, 'T100': {'task.length': 100}}
    """
    return {f"{label}{value}": {field: value} for value in allowed}


def product(*sets: Variants) -> Variants:
    """All combinations of one variant from each set; the last set varies fastest.

    >>> list(product({"a": {}, "b": {}}, {"1": {}, "2": {}}))
    ['a-1', 'a-2', 'b-1', 'b-2']

    Raises:
      ValueError: two sets override the same field.
    """
    return _joined(itertools.product(*(each.items() for each in sets)))


def zipped(*sets: Variants) -> Variants:
    """The combination of the first variants of all sets, that of the second ones, and so on.

    >>> zipped(values("task.length", (50, 100), "T"), values("train.steps", (500, 900), "n"))
    ... # doctest: +NORMALIZE_WHITESPACE
    {'T50-n500': {'task.length': 50, 'train.steps': 500},
     'T100-n900': {'task.length': 100, 'train.steps': 900}}

    Raises:
      ValueError: the sets differ in size, or override the same field.
    """
    return _joined(zip(*(each.items() for each in sets), strict=True))


def chain(*sets: Variants) -> Variants:
    """All variants of the first set, then those of the second, and so on.

    >>> list(chain({"a": {}}, {"b": {}, "c": {}}))
    ['a', 'b', 'c']

    Raises:
      ValueError: two variants have the same name.
    """
    return _distinct(itertools.chain.from_iterable(each.items() for each in sets))


def _joined(combinations: Iterable[Iterable[tuple[str, Overrides]]]) -> Variants:
    return _distinct(
        (
            "-".join(name for name, _ in combination),
            _distinct(item for _, overrides in combination for item in overrides.items()),
        )
        for combination in map(tuple, combinations)
    )


def _distinct(items: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in items:
        if name in found:
            raise ValueError(f"{name!r} occurs twice")
        found[name] = value
    return found
