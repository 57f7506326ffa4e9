"""The league of all committed results agrees with the tables of the documentation."""

import re

import pytest

from scripts.paper import league, reach, results


@pytest.fixture(scope="module")
def lines():
    return {line.name: line.standings for line in league.whole().lines}


def test_it_says_what_the_table_of_readme_says(lines):
    rows = [[part.strip() for part in row.split("|")[1:-1]] for row in reach.headline().split("\n")]
    heading, _, *rows = rows
    lengths = [re.fullmatch(r"T = ([\d,]+)", each)[1].replace(",", "") for each in heading[1:-1]]
    assert len(rows) == reach.ROWS
    for title, *cells, _ in rows:
        for length, cell in zip(lengths, cells, strict=True):
            if cell:
                told, _, _ = cell.partition(", 1 diverged")
                assert ", ".join(lines[title][f"reach: adding, T = {length}"].headline) == told


def test_it_has_every_trial_once(lines):
    standings = [each for row in lines.values() for each in row.values()]
    trials = [each.trial for standing in standings for each in standing.candidates]
    assert sorted(trials) == sorted(
        each.row["trial"] for sweep in results.SWEEPS for each in results.load(sweep)
    )
    for standing in standings:
        rates = [each.rate for each in standing.candidates]
        assert len({*rates}) == len(rates), "two models in one place"


def test_its_commands_name_no_folder(tmp_path):
    page = tmp_path / "league.html"
    assert league.write(page) == 0
    text = page.read_text()
    assert "--workdir" not in text
    assert "python -m experiments.sweep --config=configs/sweeps/reach.py --only=" in text
