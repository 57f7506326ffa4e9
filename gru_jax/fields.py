"""Checks of values, which all raise the same error: the field, the value, and what is allowed.

NumPy's scalars are taken as the numbers and words that they are.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

LARGEST = 2**31 - 1  # of an int32


class FieldError(ValueError):
    """A field has a value that is not allowed. The message is one line.

    Args:
      field: the name of the field.
      value: its value.
      allowed: which values are allowed, as the end of the sentence "FIELD must be ...".

    >>> print(FieldError("length", -1, "a whole number, at least 1"))
    length = -1: must be a whole number, at least 1
    """

    def __init__(self, field: str, value: Any, allowed: str):
        value = plain(value)
        super().__init__(f"{printable(field)} = {short(value)}: must be {allowed}")
        self.field, self.value, self.allowed = field, value, allowed

    def inside(self, section: str) -> "FieldError":
        """The same error, where the field is named as a field of `section`."""
        return FieldError(f"{section}.{self.field}", self.value, self.allowed)


class ContractError(Exception):
    """A cell or a task of one's own is not what its contract asks for. The message is one line."""


def plain(value: Any) -> Any:
    """A NumPy scalar as a value of Python's own type; anything else as it is.

    >>> plain(np.int64(4)), plain(np.float32(0.5)), plain(np.bool_(True))
    (4, 0.5, True)
    """
    if isinstance(value, np.longdouble):  # of which Python has no type: `item` returns it again
        return float(value)
    return value.item() if isinstance(value, np.generic) else value


def short(value: Any, limit: int = 60) -> str:
    """The `repr` of a value, at most `limit` characters: of a longer one the middle is left out."""
    text = repr(value)
    end = (limit - 3) // 2  # as telling as the beginning, such as the name of a file
    return text if len(text) <= limit else f"{text[: limit - 3 - end]}...{text[-end:]}"


def printable(text: str) -> str:
    """The text with its control characters and line ends escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint for an error message, or the empty string if no known name is similar.

    Args:
      known: the names, or what they are the names of: a class may be meant by its own name.

    >>> nearest("tahn", ["relu", "tanh"]), nearest("TANH", ["relu", "tanh"])
    (" (did you mean 'tanh'?)", " (did you mean 'tanh'?)")
    >>> nearest("FieldError", {"error": FieldError})
    " (did you mean 'error'?)"
    """
    spelled = {each.lower(): each for each in known}
    if isinstance(known, Mapping):
        kinds = {n: kind for n, kind in known.items() if isinstance(kind, type)}
        spelled |= {kind.__name__.lower(): name for name, kind in kinds.items()}
    close = difflib.get_close_matches(str(name).lower(), spelled, n=1)
    return f" (did you mean {spelled[close[0]]!r}?)" if close else ""


def counted(number: int, noun: str) -> str:
    """So many things, in words.

    >>> counted(1, "trial"), counted(0, "trial"), counted(1200, "seed")
    ('1 trial', '0 trials', '1,200 seeds')
    """
    return f"{number:,} {noun}" + "s" * (number != 1)


def known_options(owner: type, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuses keyword arguments that `owner`, a class that takes any, does not know.

    Raises:
      TypeError: one of the given names is not known.
    """
    known = list(known)
    for name in given:
        if name not in known:
            hint = nearest(name, known) or f": it has {', '.join(known)}"
            raise TypeError(f"{owner.__name__} has no option {name!r}{hint}")


def one_of(field: str, value: Any, known: Iterable[str]) -> str:
    """Returns the value.

    Raises:
      FieldError: the value is not one of the known words.
    """
    known, value = known if isinstance(known, Mapping) else list(known), plain(value)
    if not isinstance(value, str) or value not in known:
        hint = nearest(value, known) if isinstance(value, str) else ""
        raise FieldError(field, value, "one of " + ", ".join(known) + hint)
    return value


def boolean(field: str, value: Any) -> bool:
    """Returns the value.

    Raises:
      FieldError: the value is neither True nor False.
    """
    value = plain(value)
    if not isinstance(value, bool):
        raise FieldError(field, value, "True or False")
    return value


def integer(field: str, value: Any, least: int, most: int = LARGEST) -> int:
    """Returns the value.

    Raises:
      FieldError: the value is not a whole number in least..most.

    >>> integer("length", 2**31, 1)
    Traceback (most recent call last):
    ...
    gru_jax.fields.FieldError: length = 2147483648: must be a whole number, in 1..2147483647
    """
    value = plain(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not (whole and least <= value <= most):
        # What an int32 holds need not be told, except to who comes upon it.
        usual = most == LARGEST and not (whole and value > most)
        bounds = f"at least {least}" if usual else f"in {least}..{most}"
        raise FieldError(field, value, f"a whole number, {bounds}")
    return int(value)


def place(field: str, value: Any, count: int, of: str) -> int:
    """Returns the value.

    Args:
      of: whose parts there are, and what they are, such as "the run has one layer".

    Raises:
      FieldError: the value is not a whole number in 0..count - 1.
    """
    if count == 1 and value != 0:
        raise FieldError(field, value, f"0: {of}")
    return integer(field, value, 0, count - 1)


def real(
    field: str,
    value: Any,
    *,
    least: float = -math.inf,
    most: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """Returns the value as a float.

    Raises:
      FieldError: the value is not a finite number with `least <= value <= most` and
        `above < value < below`.
    """
    value = plain(value)
    good = (
        not isinstance(value, bool)
        and isinstance(value, int | float)
        and math.isfinite(value)
        and least <= value <= most
        and above < value < below
    )
    if not good:
        bounds = [
            f"{word} {bound:g}"
            for word, bound in (
                ("at least", least),
                ("at most", most),
                ("above", above),
                ("below", below),
            )
            if math.isfinite(bound)
        ]
        raise FieldError(field, value, " ".join(["a finite number", " and ".join(bounds)]).strip())
    return float(value)


def sequence(field: str, value: Any, allowed: str) -> tuple[Any, ...]:
    """Returns the value as a tuple.

    Raises:
      FieldError: the value is neither a tuple nor a list.
    """
    if not isinstance(value, tuple | list):
        raise FieldError(field, value, allowed)
    return tuple(value)
