"""Files of labelled texts: tables, with or without names of columns, or JSON lines.

A table with tabs may be quoted as spreadsheets and CSV writers do. It is read so if that explains
every quotation mark in it; otherwise quotation marks are part of the texts.
"""

import dataclasses
import json
import math
import re
from typing import Any

from experiments.datasets.reading import existing_file
from gru_jax import FieldError, fields
from gru_jax.streams import TEST, TRAIN, VALIDATION

MARK = "\ufeff"  # a byte-order mark: of the encoding, not of the text
SPLITS = (TRAIN, VALIDATION, TEST)
BREAK = re.compile(r"\r*\n|\r")  # of lines
NEGATIVE, POSITIVE = "negative", "positive"  # labels that a threshold makes of ratings

Row = tuple[str, str]
Numbered = tuple[int, list[Any]]  # the line on which a row begins, and its fields


@dataclasses.dataclass(frozen=True)
class Columns:
    """Where a file has its labels and texts.

    label, text: names in its first row, or the numbers of columns, from "1", of a file without
      such a row; empty for the first column and for all that follows it. In JSON lines the names of
      fields, by default "label" and "text".
    split: likewise, of a column that says "train", "validation" or "test"; or empty.
    threshold: labels are numbers; those above it become "positive", all others "negative".
    """

    label: str = ""
    text: str = ""
    split: str = ""
    threshold: float | None = None

    def __post_init__(self):
        for field, name in self.named.items():
            if not isinstance(name, str) or (name.isdecimal() and len(name) > 6):
                raise FieldError(field, name, "the name or the number of a column, as a string")
        together = {"label_column", "text_column"}
        if self.named and (missing := together - {*self.named}):
            field, name = next(iter(self.named.items()))
            raise FieldError(field, name, f"given together with {' and '.join(sorted(missing))}")
        if self.threshold is not None:
            fields.real("threshold", self.threshold)

    @property
    def named(self) -> dict[str, str]:
        """By field, the columns that are looked for."""
        found = {"label_column": self.label, "text_column": self.text, "split_column": self.split}
        return {field: name for field, name in found.items() if name}


def read_labelled(path: str, columns: Columns | None = None) -> list[Row]:
    """(label, text) of every row.

    Raises:
      FieldError: the file is not UTF-8, or a row has another format.
    """
    return [row for _, row in read_split(path, columns or Columns())]


def read_split(path: str, columns: Columns) -> list[tuple[str, Row]]:
    """Every row, with what its column of splits says; empty if there is none.

    Raises:
      FieldError: as `read_labelled`, or a row has no such split.
    """
    file = existing_file(path)
    content = file.read_bytes()
    try:
        whole = content.decode()
    except UnicodeDecodeError as error:
        ending = b"\n" if b"\n" in content else b"\r"
        number = content.count(ending, 0, error.start) + 1
        allowed = f"UTF-8 text: line {number} is not ({error.reason})"
        raise FieldError("path", path, allowed) from None
    if "\0" in whole:
        raise FieldError("path", path, "UTF-8 text: it has zero bytes, as in UTF-16")
    whole = whole.removeprefix(MARK).replace("\n" + MARK, "\n")  # files may have been joined
    if "\n" not in whole:  # as once on Macintosh computers
        whole = whole.replace("\r", "\n")
    kind = file.suffix.lower()
    if kind == ".jsonl":
        found = _json_lines(path, whole, [*columns.named.values()] or ["label", "text"])
    elif columns.label:
        found = _chosen(path, _table(path, whole, kind == ".csv"), columns)
    else:
        found = _pairs(path, whole, kind == ".csv")
    if not found:
        raise FieldError("path", path, "a file with texts: it is empty")
    rows = [
        checked("path", path, f"line {number}", columns.threshold, *row[:2])
        for number, row in found
    ]
    if kind != ".jsonl" and all(name.isdecimal() for name in columns.named.values()):
        _check_header(path, found[0][0], rows)
    splits = [_split(path, number, *row[2:]) for number, row in found]
    return list(zip(splits, rows, strict=True))


def _split(path: str, number: int, *values: Any) -> str:
    if not values:
        return ""
    (value,) = values
    split = str(value).strip()
    if split not in SPLITS:
        allowed = f"rows for one of {', '.join(SPLITS)}: line {number} has {fields.short(value)}"
        raise FieldError("path", path, allowed)
    return split


def checked(
    field: str, source: str, place: str, threshold: float | None, label: Any, text: Any
) -> Row:
    """A label and a text as strings.

    Args:
      field, source, place: what an error names: a field with its value, and where it was found.

    Raises:
      FieldError: they are no strings or finite numbers, or empty; or no rating with a threshold.
    """
    label, text = (_said(field, source, place, value) for value in (label, text))
    if not label or not text:
        missing = "label" if not label else "text"
        raise FieldError(field, source, f"texts with their labels: {place} has no {missing}")
    if threshold is None:
        return label, text
    try:
        rating = float(label)
    except ValueError:
        rating = math.nan
    if not math.isfinite(rating):
        allowed = f"ratings, since threshold is given: {place} has {fields.short(label)}"
        raise FieldError(field, source, allowed)
    return (POSITIVE if rating > threshold else NEGATIVE), text


def _said(field: str, source: str, place: str, value: Any) -> str:
    number = isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
    if not (isinstance(value, str) or number):
        allowed = f"labels and texts that are strings or numbers: {place} has {fields.short(value)}"
        raise FieldError(field, source, allowed)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # 1 and 1.0 are one label
    return str(value).strip()


def _json_lines(path: str, whole: str, names: list[str]) -> list[Numbered]:
    found = []
    for number, line in _lines(whole):
        try:
            row = json.loads(line)
            found.append((number, [row[name] for name in names]))
        except (ValueError, KeyError, TypeError, RecursionError):
            told = " and ".join(f'"{name}"' for name in names)
            allowed = f"JSON objects with {told}: line {number} is not one"
            raise FieldError("path", path, allowed) from None
    return found


def _pairs(path: str, whole: str, commas: bool) -> list[Numbered]:
    """The rows of a table of two columns, of which the second may hold tabs."""
    rows, _ = _quoted(whole, "," if commas else "\t") if commas or '"' in whole else ([], 0)
    if rows and all(len(row) == 2 for _, row in rows):
        return rows
    if commas:
        rows = _table(path, whole, commas)
        if not rows:
            return []
        number, row = next(each for each in rows if len(each[1]) != 2)
        allowed = f"rows of two columns, or label_column and text_column: line {number} has "
        raise FieldError("path", path, f"{allowed}{len(row)}")
    found = []
    for number, line in _lines(whole):
        label, tab, text = line.partition("\t")
        if not tab:
            allowed = f"lines of LABEL, a tab and the text: line {number} has no tab"
            raise FieldError("path", path, allowed)
        if label.strip().startswith('"'):
            allowed = f"two columns, quoted throughout or not at all: line {number} is not"
            raise FieldError("path", path, allowed)
        found.append((number, [label, text]))
    return found


def _table(path: str, whole: str, commas: bool) -> list[Numbered]:
    """All columns of a table."""
    rows, wrong = _quoted(whole, "," if commas else "\t")
    if not wrong:
        return rows
    if commas:
        allowed = f"quotation marks around a field, and doubled within: line {wrong} is not so"
        raise FieldError("path", path, allowed)
    return [(number, line.split("\t")) for number, line in _lines(whole)]


def _chosen(path: str, rows: list[Numbered], columns: Columns) -> list[Numbered]:
    """The labels and texts of a table."""
    header: list[str] = []
    if not rows:
        return []
    if not all(name.isdecimal() for name in columns.named.values()):
        (_, first), *rows = rows
        header = [str(name).strip() for name in first]
    places = []
    for field, name in columns.named.items():
        if name not in header and not name.isdecimal():
            known = ", ".join(map(fields.short, header))
            raise FieldError(field, name, f"a column of {path}, which has {known}")
        if header.count(name) > 1:
            raise FieldError(field, name, f"one column of {path}, which has several of that name")
        places.append(header.index(name) if name in header else int(name) - 1)
    most = len(header or rows[0][1])
    for number, row in rows:
        count = fields.counted(len(row), "column")
        if not 0 <= min(places) <= max(places) < len(row):
            allowed = f"rows with columns {', '.join(columns.named.values())}"
            raise FieldError("path", path, f"{allowed}: line {number} has {count}")
        if any(value.strip() for value in row[most:]):  # a separator in a text without quotes?
            allowed = f"rows of at most {fields.counted(most, 'column')}, as the first has"
            raise FieldError("path", path, f"{allowed}: line {number} has {count}")
    return [(number, [row[place] for place in places]) for number, row in rows]


def _quoted(whole: str, separator: str) -> tuple[list[Numbered], int]:
    """The rows of a table in which quotation marks quote, and 0; or the line where they do not.

    A field that holds a quotation mark is then in quotation marks, with those inside doubled. With
    commas, a carriage return outside of them ends a row as well.
    """
    quoted, plain = r'"((?:[^"]|"")*+)" *', rf'([^"{separator}\r\n]*+)'
    end = r"\r*\n|\r+|\Z" if separator == "," else r"\r*\n|\r*\Z"
    field = re.compile(rf"(?:{quoted}|{plain})({separator}|{end})")
    found: list[Numbered] = []
    row: list[str] = []
    place, number, began = 0, 1, 1
    while place < len(whole) or row:
        match = field.match(whole, place)
        if match is None:
            return [], number
        marked, unmarked, end = match.groups()
        if separator == "\t" and marked and "\n" in marked and "\t" in marked:
            return [], number  # more likely two texts, of which one begins and one ends with a mark
        row.append(unmarked if marked is None else marked.replace('""', '"'))
        number += len(BREAK.findall(match[0]))
        place = match.end()
        if end != separator:
            if any(value.strip() for value in row):
                found.append((began, row))
            row, began = [], number
    return found, 0


def _lines(whole: str) -> list[tuple[int, str]]:
    return [(number, line) for number, line in enumerate(whole.split("\n"), 1) if line.strip()]


def _check_header(path: str, number: int, rows: list[Row]) -> None:
    """Raises FieldError if the first row seems to name the columns, or the columns are others."""
    label = rows[0][0]
    if len(rows) >= 10 and [each for each, _ in rows].count(label) == 1:
        allowed = (
            "lines of LABEL, a tab and the text, without a header: no other line has the label of "
            f"line {number}, {fields.short(label)} (where there is a header, label_column and "
            "text_column name columns of it)"
        )
        raise FieldError("path", path, allowed)
