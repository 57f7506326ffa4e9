"""Reviews of sentences: which stand where, and that no sentence is in two splits."""

import json

import pytest

from configs.sweeps import verdicts
from scripts import reviews
from tests.collected import ratings

pytestmark = pytest.mark.quick


def test_a_verdict_stands_before_or_after_its_plot(tmp_path):
    said, told = tmp_path / "said", tmp_path / "told"
    for folder in (said, told):
        folder.mkdir()
    plots = ratings(told, 500)
    plots.write_text(plots.read_text().replace("good", "plot").replace("bad", "plot"))
    reviews.write(str(ratings(said, 100)), str(plots), tmp_path / "reviews.jsonl")
    rows = [*map(json.loads, (tmp_path / "reviews.jsonl").read_text().splitlines())]
    assert len(rows) == 100
    places: dict[str, set[str]] = {}
    for row in rows:
        verdict = row["end-0"]
        assert row["start-0"] == verdict
        assert verdict.startswith("good" if row["label"] == "positive" else "bad")
        for count in verdicts.PLOTS[1:]:
            start, end = row[f"start-{count}"], row[f"end-{count}"]
            assert start.startswith(f"{verdict} plot")
            assert end == f"{start.removeprefix(f'{verdict} ')} {verdict}"
            assert end.count("plot") == count
            for sentence in end.split(" plot"):
                places.setdefault(sentence.removeprefix("plot"), set()).add(row["split"])
    assert all(len(splits) == 1 for splits in places.values())
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
