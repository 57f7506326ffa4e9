"""Files of texts as other programs write them: marks, quotes, headers, and values that are none."""

import csv
import json
import sys
import types

import pytest

from experiments.datasets.labelled import read_labelled
from experiments.datasets.texts import text
from gru_jax import FieldError

ROWS = [("neg" if i % 2 else "pos", f"text {i}") for i in range(12)]


def table(rows):
    return "".join(f"{label}\t{words}\n" for label, words in rows)


def read(tmp_path, content, name="texts.tsv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labelled(str(path))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_byte_order_mark_belongs_to_the_encoding(tmp_path, end):
    whole = table(ROWS).replace("\n", end)
    marked = whole.encode("utf-8-sig")
    assert read(tmp_path, marked + marked) == ROWS + ROWS
    lines = "".join(json.dumps({"label": label, "text": words}) + end for label, words in ROWS)
    assert read(tmp_path, lines.encode("utf-8-sig"), "texts.jsonl") == ROWS


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
def test_quotation_marks_of_a_writer_are_not_part_of_the_texts(tmp_path, quoting):
    said = [*ROWS, ("pos", 'He said "well", and left.'), ("neg", '"No"'), ("pos", "two\n\nlines")]
    said += [("neg", "a\ttab"), ("neg", "plain")]
    path = tmp_path / "written.tsv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=quoting).writerows(said)
    assert read_labelled(str(path)) == said


@pytest.mark.parametrize(
    "words",
    [
        ['"Well," he said. "No."', "it's 5\" long"],
        ['"begins', 'ends"', 'and "within"'],
        ['"begins here', 'ends here"'],  # not one text of two lines
        ["a third\tcolumn", '"quoted"\tthen not'],
    ],
)
def test_quotation_marks_of_the_texts_stay(tmp_path, words):
    rows = [*ROWS, *(("pos", each) for each in words)]
    assert read(tmp_path, table(rows)) == rows


WRONG = "strings or numbers: line 2 has"


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ('{"label": 1, "text": "a"}\n{"label": null, "text": "b"}', "a.jsonl", f"{WRONG} None"),
        ('{"label": 1, "text": "a"}\n{"label": 1, "text": NaN}', "a.jsonl", f"{WRONG} nan"),
        ('{"label": 1, "text": "a"}\n{"label": [1], "text": "b"}', "a.jsonl", rf"{WRONG} \[1\]"),
        ('{"label": 1, "text": "a"}\n{"label": 1, "text": {}}', "a.jsonl", f"{WRONG} {{}}"),
        ("label\ttext\n" + table(ROWS), "a.tsv", "without a header: .* of line 1, 'label'"),
        ("\n" + table((i, label) for i, (label, _) in enumerate(ROWS)), "a.tsv", "of line 2, '0'"),
        ('pos\tone\n"neg"\ta "word" more\n', "a.tsv", "throughout or not at all: line 2 is not"),
        (table(ROWS).encode() + b"\xff", "a.tsv", "UTF-8 text: line 13 is not"),
    ],
)
def test_what_is_no_text_is_named_with_its_line(tmp_path, content, name, message):
    with pytest.raises(FieldError, match=message) as caught:
        read(tmp_path, content, name)
    assert str(tmp_path / name) == caught.value.value
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([(None, "a")], [], "row 0 of train has None"),
        (ROWS, [(-1, "a")], "'-1' is in \"test\" only"),
    ],
)
def test_a_data_set_s_missing_labels_are_no_class(monkeypatch, train, test, message):
    found = {
        split: [{"label": label, "text": words} for label, words in rows]
        for split, rows in (("train", train), ("test", test))
    }
    monkeypatch.setitem(
        sys.modules, "datasets", types.SimpleNamespace(load_dataset=lambda _: found)
    )
    with pytest.raises(FieldError, match=message):
        text(dataset="some/reviews")
