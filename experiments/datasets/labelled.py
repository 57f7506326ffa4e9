"""Files of labelled texts: lines of LABEL, a tab and the text, or JSON lines.

A table may be quoted as spreadsheets and CSV writers do. It is read so if that explains every
quotation mark in it; otherwise quotation marks are part of the texts.
"""

import json
import math
import re
from typing import Any

from experiments.datasets.reading import existing_file
from gru_jax import FieldError, fields

MARK = "\ufeff"  # a byte-order mark: of the encoding, not of the text
FIELD = r'(?:"((?:[^"]|"")*+)"|([^"\t\r\n]*+))'
QUOTED_ROW = re.compile(rf"{FIELD}\t{FIELD}[ \r]*(?:\n|\Z)|\s*?(?:\n|\Z)")

Row = tuple[str, str]


def read_labelled(path: str) -> list[Row]:
    """(label, text) of every row.

    Raises:
      FieldError: the file is not UTF-8, or a row has another format.
    """
    file = existing_file(path)
    content = file.read_bytes()
    try:
        whole = content.decode()
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        allowed = f"UTF-8 text: line {number} is not ({error.reason})"
        raise FieldError("path", path, allowed) from None
    whole = whole.removeprefix(MARK).replace("\n" + MARK, "\n")  # files may have been joined
    if file.suffix == ".jsonl":
        found = _json_lines(path, whole)
    else:
        found = _quoted(whole) or _table(path, whole)
    if not found:
        raise FieldError("path", path, "a file with texts: it is empty")
    rows = [_checked(path, *row) for row in found]
    if file.suffix != ".jsonl":
        _check_header(path, found[0][0], rows)
    return rows


def said(field: str, source: str, place: str, value: Any) -> str:
    """A label or a text as a string.

    Raises:
      FieldError: it is neither a string nor a finite number.
    """
    number = isinstance(value, int | float) and math.isfinite(value)
    if not (isinstance(value, str) or number):
        allowed = f"labels and texts that are strings or numbers: {place} has {fields.short(value)}"
        raise FieldError(field, source, allowed)
    return str(value).strip()


def _checked(path: str, number: int, *values: Any) -> Row:
    label, text = (said("path", path, f"line {number}", value) for value in values)
    if not label or not text:
        missing = "label" if not label else "text"
        allowed = f"texts with their labels: line {number} has no {missing}"
        raise FieldError("path", path, allowed)
    return label, text


def _json_lines(path: str, whole: str) -> list[tuple[int, Any, Any]]:
    found = []
    for number, line in _lines(whole):
        try:
            row = json.loads(line)
            found.append((number, row["label"], row["text"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            allowed = f'JSON objects with "label" and "text": line {number} is not one'
            raise FieldError("path", path, allowed) from None
    return found


def _table(path: str, whole: str) -> list[tuple[int, Any, Any]]:
    """The rows of a table whose quotation marks are part of the texts."""
    found = []
    for number, line in _lines(whole):
        label, tab, text = line.partition("\t")
        if not tab:
            allowed = f"lines of LABEL, a tab and the text: line {number} has no tab"
            raise FieldError("path", path, allowed)
        if label.strip().startswith('"'):
            allowed = f"two columns, quoted throughout or not at all: line {number} is not"
            raise FieldError("path", path, allowed)
        found.append((number, label, text))
    return found


def _quoted(whole: str) -> list[tuple[int, Any, Any]]:
    """The rows of a table that is quoted throughout; none if it is not.

    A field that holds a quotation mark is then in quotation marks, with those inside doubled.
    """
    if '"' not in whole:
        return []
    found, place, number = [], 0, 1
    while place < len(whole):
        row = QUOTED_ROW.match(whole, place)
        if row is None:
            return []
        parts = row.groups()
        if any(part and "\n" in part and "\t" in part for part in parts):
            return []  # more likely two texts, of which one begins and one ends with a mark
        if "\t" in row[0]:
            label, text = (
                plain if quoted is None else quoted.replace('""', '"')
                for quoted, plain in (parts[:2], parts[2:])
            )
            found.append((number, label, text))
        number += row[0].count("\n")
        place = row.end()
    return found


def _lines(whole: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(whole.split("\n"), 1) if line.strip()]


def _check_header(path: str, number: int, rows: list[Row]) -> None:
    """Raises FieldError if the first row seems to name the columns, or the columns are others."""
    label = rows[0][0]
    if len(rows) >= 10 and [each for each, _ in rows].count(label) == 1:
        allowed = (
            "lines of LABEL, a tab and the text, without a header: no other line has the label "
            f"of line {number}, {fields.short(label)}"
        )
        raise FieldError("path", path, allowed)
