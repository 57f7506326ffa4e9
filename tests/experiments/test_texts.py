"""Files of texts as other programs write them: marks, quotes, headers, and values that are none."""

import csv
import io
import json
import math
import sys
import types
import unicodedata

import numpy as np
import pytest

from experiments.datasets.labelled import Columns, read_labelled
from experiments.datasets.texts import UNKNOWN, split_texts, text, unlearned, words_of
from gru_jax import FieldError
from gru_jax.tasks.dataset import TEST, TRAIN, VALIDATION

ROWS = [("neg" if i % 2 else "pos", f"text {i}") for i in range(12)]


def table(rows):
    return "".join(f"{label}\t{words}\n" for label, words in rows)


def read(tmp_path, content, name="texts.tsv", columns=None):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_labelled(str(path), columns)


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


def comma(rows):
    """As a spreadsheet writes it: quotation marks where they are needed, carriage returns."""
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


NAMED = Columns("stars", "review", threshold=3)
RATED = [(i % 5 + 1, f'no. {i}: "well, {i}", she said\nand left') for i in range(12)]
SIGNED = [("positive" if stars > 3 else "negative", words) for stars, words in RATED]


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("order", [[2, 0, 1], [0, 1, 2]])
def test_columns_are_found_by_their_names_in_any_order(tmp_path, mark, order):
    rows = [("id", "review", "stars"), *((i, w, s) for i, (s, w) in enumerate(RATED)), ()]
    whole = mark + comma([[row[place] for place in order] if row else row for row in rows])
    assert read(tmp_path, whole, "a.csv", NAMED) == [(s, w.strip()) for s, w in SIGNED]


def test_rows_may_end_with_carriage_returns_and_texts_have_new_lines(tmp_path):
    rows = [("review", "stars", ""), *((w, s, "") for s, w in RATED)]
    whole = comma(rows).replace("\r\n", "\r")
    assert read(tmp_path, whole, "a.csv", NAMED) == SIGNED
    (worse,) = (line for line in whole.split("\r") if line.startswith('"no. 7:'))
    wrong = whole.replace(worse, worse.replace('",4', '",four').replace('",3', '",four'))
    with pytest.raises(FieldError, match="line 16 has 'four'"):  # seven texts of two lines before
        read(tmp_path, wrong, "a.csv", NAMED)
    tabs = "stars\treview\n4\ta\rb\n"  # where nothing is quoted, it belongs to the text
    assert read(tmp_path, tabs, columns=NAMED) == [("positive", "a\rb")]


def test_columns_without_names_have_numbers(tmp_path):
    lines = [f"{i}_1\t{stars / 2}\tit's ''{i}'' \"so" for i, (stars, _) in enumerate(RATED)]
    found = read(tmp_path, "\r\n".join([*lines, ""]), columns=Columns("2", "3", threshold=1.5))
    assert found == [(sign, f"it's ''{i}'' \"so") for i, (sign, _) in enumerate(SIGNED)]


def test_two_columns_of_a_spreadsheet_need_no_names(tmp_path):
    assert read(tmp_path, comma(SIGNED), "a.csv") == SIGNED
    lines = "".join(json.dumps({"stars": s, "review": w}) + "\n" for s, w in RATED)
    assert read(tmp_path, lines, "a.jsonl", NAMED) == SIGNED


@pytest.mark.parametrize(
    ("content", "name", "columns", "message"),
    [
        ("a,b\n1,x\n", "a.csv", NAMED, "label_column = 'stars': .* which has 'a', 'b'"),
        ("stars,b\n1,x\n", "a.csv", NAMED, "text_column = 'review'"),
        ("stars,review\n1,x\n2\n", "a.csv", NAMED, "line 3 has 1 column$"),
        ("stars,review\n1,x\nfive,y\n", "a.csv", NAMED, "ratings, .* line 3 has 'five'"),
        ('stars,review\n"1\n",x\n,y\n', "a.csv", NAMED, "line 4 has no label"),
        ('stars,review\n1,x "y\n', "a.csv", NAMED, "quotation marks .* line 2 is not so"),
        ("1,x\n2,y,z\n", "a.csv", None, "two columns, .* line 2 has 3"),
        ("1\tx\n", "a.tsv", Columns("1", "3"), "columns 1, 3: line 1 has 2 columns"),
        ("1\tx\n", "a.tsv", Columns("0", "1"), "columns 0, 1: line 1"),
        ("", "a.csv", NAMED, "it is empty"),
        ("", "a.csv", None, "it is empty"),
        (" , \n\n", "a.csv", None, "it is empty"),
        ("stars,stars,review\n1,2,x\n", "a.csv", NAMED, "one column of .* several of that name"),
        ("x\ty\n" + table(ROWS), "a.tsv", Columns("1", "2"), "the label of line 1, 'x'"),
        ("stars,review\n1e400,x\n", "A.CSV", NAMED, "ratings, .* line 2 has '1e400'"),
        ("1,x\r2\r", "a.csv", Columns("1", "2"), "line 2 has 1 column$"),
        ("stars,review\n", "a.csv", NAMED, "it is empty"),
        ("stars,review\n1,x,,\n2,good, but\n", "a.csv", NAMED, "most 2 .* line 3 has 3 columns"),
        ("1\tx\n2\ty\tz\n", "a.tsv", Columns("1", "2"), "most 2 .* first .* line 2 has 3 columns"),
        ("id,review,stars\n1,a\rb,3\n", "a.csv", NAMED, "line 2 has 2 columns"),
        ('stars,review\n1, "x"\n', "a.csv", NAMED, "marks around a field, .* line 2 is not so"),
        ("stars,review\n1,x\n".encode("utf-16-le"), "a.csv", NAMED, "UTF-8 text: .* zero bytes"),
        (b"1,x\r2,caf\xe9\r", "a.csv", None, "UTF-8 text: line 2 is not"),
    ],
)
def test_what_is_wrong_with_a_table_is_one_line(tmp_path, content, name, columns, message):
    with pytest.raises(FieldError, match=message) as caught:
        read(tmp_path, content, name, columns)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": "1"}, "label_column = '1': must be given together with text_column"),
        ({"text": "review"}, "text_column = 'review': must be given together with label_column"),
        ({"split": "part"}, "split_column = 'part': .* with label_column and text_column"),
        ({"threshold": math.nan}, "threshold = nan"),
        ({"label": 1, "text": 2}, "label_column = 1: must be the name or the number"),
        ({"label": "9" * 5000, "text": "2"}, "label_column = '999"),
    ],
)
def test_columns_that_cannot_be(columns, message):
    with pytest.raises(FieldError, match=message):
        Columns(**columns)


def test_a_column_may_say_the_split(tmp_path):
    path = tmp_path / "split.csv"
    splits = ["test", "train", "validation"] * 4
    rows = [("part", "stars", "review"), *((p, *row) for p, row in zip(splits, RATED, strict=True))]
    path.write_text(comma(rows), newline="")
    columns = {"label_column": "stars", "text_column": "review", "split_column": "part"}
    task = text(str(path), threshold=3, **columns)
    for split, held in task.splits.items():
        wanted = [
            sign == "positive" for p, (sign, _) in zip(splits, SIGNED, strict=True) if p == split
        ]
        assert held.targets.tolist() == wanted
    lines = "".join(json.dumps(dict(zip(rows[0], row, strict=True))) + "\n" for row in rows[1:])
    (tmp_path / "split.jsonl").write_text(lines)
    again = text(str(tmp_path / "split.jsonl"), threshold=3, **columns)
    for split, held in task.splits.items():
        np.testing.assert_array_equal(held.inputs, again.splits[split].inputs)
    wrongs = (("dev", "line 6 has 'dev'"), ("train", "none for validation"), ("", "has ''"))
    for wrong, message in wrongs:
        path.write_text(comma(rows).replace("validation", wrong), newline="")
        with pytest.raises(FieldError, match=message):
            text(str(path), threshold=3, **columns)
    with pytest.raises(FieldError, match="split_column = 'part': must be left out"):
        text(dataset="some/reviews", **columns)


def test_a_label_that_is_not_in_the_training_split(tmp_path):
    rows = [(label, words, "train") for label, words in ROWS] + [("odd", "new", "test")]
    rows += [("pos", "newer", "validation")]
    path = tmp_path / "odd.tsv"
    path.write_text("label\ttext\tsplit\n" + "".join("\t".join(row) + "\n" for row in rows))
    columns = {"label_column": "label", "text_column": "text", "split_column": "split"}
    with pytest.raises(FieldError, match='all in "train": \'odd\' is in "test" only'):
        text(str(path), **columns)


def test_half_of_an_emoji_and_a_large_number_are_texts(tmp_path):
    rows = [{"label": i % 2, "text": f"film \ud83d {i}"} for i in range(20)]
    rows += [{"label": 0, "text": 10**400}]
    path = tmp_path / "odd.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert sum(len(each.inputs) for each in text(str(path)).splits.values()) == 21


def test_more_texts_move_few_of_the_others(tmp_path):
    """Which part a text is in depends on its words alone, but for those at the borders."""

    def parts(count):
        path = tmp_path / f"{count}.tsv"
        path.write_text(table([("ab"[i % 2], "Word! " * i) for i in range(1, count)]))
        splits = text(str(path), length=1000).splits
        return {length // 2: name for name, each in splits.items() for length in each.lengths}

    fewer, more = parts(200), parts(210)
    assert len(fewer) == 199
    assert sum(fewer[i] != more[i] for i in fewer) <= 4


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


@pytest.mark.parametrize(
    ("whole", "words"),
    [
        ("Caf\u00e9, it's", ["caf\u00e9", ",", "it's"]),
        ("cafe\u0301", ["caf\u00e9"]),  # the same, with a mark of its own
        ("\u0939\u093f\u0928\u094d\u0926\u0940!", ["\u0939\u093f\u0928\u094d\u0926\u0940", "!"]),
        ("q\u0301'x\u0301 \u0301", ["q\u0301'x\u0301", "\u0301"]),
    ],
)
def test_marks_belong_to_the_letters_that_bear_them(whole, words):
    assert words_of(whole) == words


def test_texts_that_are_equal_but_for_their_encoding_stay_together():
    each = [(("neg", "pos")[i % 2], f"caf\u00e9 {i}") for i in range(40)]
    both = [*each, *((label, unicodedata.normalize("NFD", words)) for label, words in each)]
    assert len({*both}) == 80
    for rows in split_texts(both).values():
        assert len({unicodedata.normalize("NFC", words) for _, words in rows}) == len(rows) / 2


def test_what_unknown_words_mean_is_learned_or_that_it_is_not_is_told(tmp_path):
    rows = [(("neg", "pos")[i % 2], f"film word{i} {'often' * (i % 3)}") for i in range(40)]
    path = tmp_path / "rare.tsv"
    path.write_text(table(rows))
    unknown = lambda task, split: float((task.splits[split].inputs == UNKNOWN).mean())
    task = text(str(path))
    assert unknown(task, TRAIN) == 0 < min(unknown(task, VALIDATION), unknown(task, TEST))
    assert "% of those of validation are: what they mean is not learned" in unlearned(task)
    for learned in (text(str(path), min_count=2), text(str(path), vocabulary=9)):
        assert unknown(learned, TRAIN) > 0
        assert not unlearned(learned)
    assert set(text(str(path), min_count=2).token_names[2:]) == {"film", "often", "oftenoften"}
    with pytest.raises(FieldError, match="min_count = 0"):
        text(str(path), min_count=0)
    assert not unlearned(text(str(path), unit="character"))


def test_a_number_is_one_label_however_it_is_written(tmp_path):
    rows = [{"label": (1, 1.0, 0)[i % 3], "text": f"film {i}"} for i in range(30)]
    path = tmp_path / "numbers.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    assert text(str(path)).classes == 2
