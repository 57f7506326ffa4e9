"""The league: which trials it compares, which numbers it shows, and how a browser sorts it."""

import json
import math
import re
import statistics

import pytest

from configs.variants import product, values
from experiments.reports import naming, svg
from experiments.reports.league import Candidate, candidates, league
from experiments.reports.page import write_report
from experiments.reports.results import entries
from tests.browser import opened
from tests.sweeping import pretend

pytestmark = pytest.mark.usefixtures("least_effort")

COMMAND = "python -m experiments.report DIR"
RATES = {"lr0.1": {"optimizer.learning_rate": 0.1}, "lr0.01": {"optimizer.learning_rate": 0.01}}


def models(memory):
    return {
        "gru": {"model.cell": "gru", "model.hidden_sizes": (memory,)},
        "gru_chrono": {"model.cell": "gru", "model.chrono_max": float(memory)},
        "lstm": {"model.cell": "lstm"},
    }


def sweep(add):
    for length in (6, 12):
        here = {f"adding-T{length}": {"task.length": length}}
        for name, overrides in product(here, models(length), RATES).items():
            add(name, overrides)
    add("copy-T3-gru-lr0.1", {"task": {"name": "copy_memory", "length": 3, "protocol": "tcn"}})


def solves(trial, seed):
    """All seeds of a GRU at the lower rate, a half at the higher; later with chrono and T = 12."""
    if "lstm" in trial.name:
        return None
    late = 10 * ("chrono" in trial.name) + 30 * ("T12" in trial.name)
    return None if trial.name.endswith("lr0.1") and seed % 2 else 20 + late + 10 * seed


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return pretend(tmp_path_factory.mktemp("league") / "sweep", sweep, solves)


def standings(found):
    lines = league(candidates(found, [entry for entry in found if entry.summary])).lines
    return {line.name: line.standings for line in lines}


def test_trials_of_a_model_are_one_row(folder):
    assert {name: list(each) for name, each in standings(entries(folder)).items()} == {
        "gru": ["adding, T = 6", "adding, T = 12", "copy memory, T = 3"],
        "gru_chrono": ["adding, T = 6", "adding, T = 12"],
        "lstm": ["adding, T = 6", "adding, T = 12"],
    }


def test_the_best_rate_is_chosen_and_its_numbers_are_those_of_its_seeds(folder):
    found = standings(entries(folder))["gru"]["adding, T = 12"]
    assert [each.rate for each in found.candidates] == ["0.01", "0.1"]
    assert found.headline == ("8/8", f"{statistics.median(range(50, 130, 10)):g} updates")
    assert found.share == 1
    # Wilson's interval of 8 of 8 seeds, of which the upper end is 1.
    z = statistics.NormalDist().inv_cdf(0.975)
    assert found.best.measured["solved"] == ("8/8", f"{100 * 8 / (8 + z * z):.0f}..100 %")
    assert found.best.measured["loss"] == ("0.05", "0.05..0.05")
    summary = json.loads((folder / "trials/adding-T12-lstm-lr0.01/summary.json").read_text())
    losses = summary["eval"]["loss"]["per_seed"]
    lstm = standings(entries(folder))["lstm"]["adding, T = 12"]
    (chosen,) = (each for each in lstm.candidates if each.rate == "0.01")
    assert chosen.outcomes.loss[1] == pytest.approx(statistics.median(losses))
    lost = min(statistics.median(losses), lstm.candidates[0].outcomes.loss[1]) / (1 / 6)
    assert lstm.headline == ("0/8", f"{lost:.2g} x input-blind")


def test_the_best_of_a_problem_comes_first(folder):
    places = {
        name: each["adding, T = 6"].place for name, each in standings(entries(folder)).items()
    }
    assert places == {"gru": 0, "gru_chrono": 1, "lstm": 2}


def summary(validation, test, solved=(None, None)):
    told = lambda losses: {"loss": {"per_seed": losses}}
    return {"eval": told(validation), "test": told(test), "solved_step": list(solved)}


def candidate(rate, **overrides):
    told = {"trial": f"a-{rate}", "row": "a", "problem": "p", "rate": rate, "parameters": 3}
    told |= {"budget": 100, "aim": False, "baseline": 2.0, "command": "run", "curve": {}}
    return Candidate(**{**told, **overrides})


def test_a_rate_is_chosen_by_validation_examples_and_judged_by_test_examples():
    one = candidate("0.1", summary=summary([0.5, 0.5], [0.9, 1.1]))
    other = candidate("0.2", summary=summary([0.6, 0.6], [0.1, 0.1]))
    waiting = candidate("0.3", state=("running", "3 of 100"))
    ((line,),) = (league([waiting, other, one]).lines,)
    found = line.standings["p"]
    assert [each.rate for each in found.candidates] == ["0.1", "0.2", "0.3"]
    assert found.headline == ("0.5 x input-blind", "")
    assert found.share == pytest.approx(0.5)
    assert found.best.measured == {"solved": ("no target", ""), "loss": ("1", "0.95..1.05")}
    alone = league([waiting]).lines[0].standings["p"]
    assert (alone.headline, alone.place, alone.share) == (("running", "3 of 100"), None, 0)


def test_models_that_would_share_a_row_are_told_apart(tmp_path):
    def other(add):
        add("adding-T6-gru-lr0.1", {"model.cell": "gru", "model.hidden_sizes": (5,)})
        add("adding-T6-vanilla-lr0.1", {"model.cell": "vanilla"})
        chrono = {"model.chrono_max": 9.0, "task.length": 9}
        add("adding-T9-gru_chrono-lr0.1", {"model.cell": "gru", **chrono})
        bias = {"model.keeping_bias": 2.0, "task.length": 9}
        add("adding-T9-lstm-lr0.1", {"model.cell": "lstm", **bias})

    def twice(add):  # no word of a name says what the width is
        add("gru-lr1-x", {"optimizer.learning_rate": 1.0})
        add("gru-lr2-y", {"optimizer.learning_rate": 2.0})
        add("gru-lr1-y", {"optimizer.learning_rate": 1.0, "model.hidden_sizes": (5,)})
        add("gru-lr2-x", {"optimizer.learning_rate": 2.0, "model.hidden_sizes": (5,)})

    folders = [pretend(tmp_path / "one", sweep), pretend(tmp_path / "two", other)]
    names = {
        (entry.workdir.parts[-3], entry.name): row
        for entry, row in naming.rows([e for f in folders for e in entries(f)]).items()
    }
    assert names["one", "adding-T6-gru-lr0.1"] == "one/gru", "four and five units"
    assert names["two", "adding-T6-gru-lr0.1"] == "two/gru"
    assert names["one", "adding-T6-gru_chrono-lr0.1"] == "gru_chrono"
    assert names["two", "adding-T9-gru_chrono-lr0.1"] == "gru_chrono", "of another length"
    # On other problems, too: here with another bias.
    assert names["one", "adding-T6-lstm-lr0.1"] == "one/lstm"
    assert names["two", "adding-T9-lstm-lr0.1"] == "two/lstm"
    rows = naming.rows(entries(pretend(tmp_path / "twice", twice)))
    assert {entry.name: row for entry, row in rows.items()} == {
        "gru-lr1-x": "gru-lr1-x",
        "gru-lr2-y": "gru-lr1-x",
        "gru-lr1-y": "gru-lr1-y",
        "gru-lr2-x": "gru-lr1-y",
    }


def test_a_word_for_a_problem_need_not_be_in_every_name(tmp_path):
    def some(add):
        for length in (6, 9):
            add(f"T{length}-gru", {"task.length": length})
        add("T9-lstm", {"task.length": 9, "model.cell": "lstm"})
        add("odd", {"model.cell": "vanilla"})

    rows = naming.rows(entries(pretend(tmp_path / "sweep", some)))
    assert [*rows.values()] == ["gru", "gru", "lstm", "odd"]


def test_names_of_one_problem_or_one_model_have_no_other_words(tmp_path):
    lengths = lambda add: [add(n, each) for n, each in values("task.length", (6, 9), "T").items()]
    rows = naming.rows(entries(pretend(tmp_path / "lengths", lengths)))
    assert {*rows.values()} == {"GRU"}

    def alone(add):  # each model on a problem of its own
        add("T6-gru_chrono", {"model.chrono_max": 6.0})
        add("T9-gru", {"task.length": 9})
        add("T12-lstm", {"task.length": 12, "model.cell": "lstm"})

    rows = naming.rows(entries(pretend(tmp_path / "alone", alone)))
    assert [*rows.values()] == ["T6-gru_chrono", "T9-gru", "LSTM"]
    run = pretend(tmp_path / "sweep", sweep) / "trials" / "adding-T6-lstm-lr0.1"
    assert [*naming.rows(entries(run)).values()] == ["LSTM"]


def test_a_small_curve_goes_through_its_points():
    curve = {"step": [10, 20], "low": [0.1, 0.01], "median": [0.1, 0.01], "high": [0.1, None]}
    drawn = str(svg.learning_curves(curve, [], baseline=1.0))
    points = lambda kind: [
        [float(each) for each in pair.split(",")]
        for pair in re.search(rf'class="{kind}" points="([^"]*)"', drawn)[1].split()
    ]
    middle = (svg.LEFT + svg.RIGHT) / 2
    assert points("line") == [
        pytest.approx([middle, (svg.TOP + svg.BOTTOM) / 2], abs=0.1),
        pytest.approx([svg.RIGHT, svg.BOTTOM], abs=0.1),
    ]
    assert points("band")[1] == [svg.RIGHT, svg.TOP], "what is not finite lies at the edge"
    for text in (">0.01<", ">0.1<", ">1<", ">20<"):
        assert text in drawn
    diverged = {**curve, "high": [0.1, 1e9]}  # which would leave the rest in a line at the bottom
    drawn = str(svg.learning_curves(diverged, [], baseline=1.0))
    assert points("band")[1] == [svg.RIGHT, svg.TOP]
    assert points("line")[1] == [svg.RIGHT, svg.BOTTOM]
    assert points("line")[0][1] == pytest.approx(
        svg.BOTTOM + (svg.TOP - svg.BOTTOM) / 3, abs=0.1
    ), "a third of 0.01..10"
    assert not svg.learning_curves({"step": []}, [], 1.0)
    flat = {"step": [1], "low": [0.0], "median": [0.0], "high": [math.inf]}
    assert "nan" not in svg.learning_curves(flat, [flat], 1.0)


SORTED = """
const rows = () => [...document.querySelectorAll("#league tbody tr")];
const names = () => rows().filter(row => !row.hidden).map(row => row.cells[0].textContent);
const told = {start: names()};
const [, , , six] = document.querySelectorAll("#league thead button");
six.focus();
six.click();
told.best = names(), told.order = six.parentElement.ariaSort;
six.click();
told.worst = names(), told.turned = six.parentElement.ariaSort;
document.querySelector("#league thead button").click();
told.named = names(), told.cleared = six.parentElement.ariaSort;
const type = (name, value) => {
  const input = document.querySelector(`#filter [name=${name}]`);
  input.value = value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
};
type("name", "GRU");
told.filtered = names(), told.count = document.querySelector("#filter output").textContent;
type("name", "");
type("least", "160");
told.large = names();
type("least", "");
const cell = rows()[0].querySelector(".standing button");
told.title = cell.title;
cell.click();
const card = document.querySelector(":popover-open");
told.heading = card.querySelector("h3").textContent;
const {left, right} = card.getBoundingClientRect();
told.inside = left >= 0 && right <= innerWidth && card.scrollWidth <= card.clientWidth;
told.lines = [...card.querySelectorAll("polyline")].map(line => line.className.baseVal);
card.querySelector(".close").click();
told.closed = document.querySelector(":popover-open") === null;
return told;
"""


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_sorts_filters_and_opens(folder, chromium, tmp_path, width):
    write_report([folder], tmp_path / "page.html", COMMAND)
    found = opened(chromium, (tmp_path / "page.html").read_text(), tmp_path, width, SORTED)
    assert (found["errors"], found["hidden"], found["wide"]) == ([], 0, [])
    told = found["told"]
    large = {
        name
        for name, row in standings(entries(folder)).items()
        if max(each.best.parameters for each in row.values()) >= 160
    }
    assert 0 < len(large) < 3
    assert told == {
        "start": ["gru", "gru_chrono", "lstm"],
        "best": ["gru", "gru_chrono", "lstm"],
        "order": "descending",
        "worst": ["lstm", "gru_chrono", "gru"],
        "turned": "ascending",
        "named": ["gru", "gru_chrono", "lstm"],
        "cleared": None,
        "filtered": ["gru", "gru_chrono"],
        "count": "2 of 3 rows",
        "large": sorted(large),
        "title": standings(entries(folder))["gru"]["adding, T = 6"].told,
        "heading": "gru: adding, T = 6",
        "inside": True,
        "lines": ["other", "line"],
        "closed": True,
    }


def test_without_a_script_it_is_a_table_to_read(folder, tmp_path):
    write_report([folder], tmp_path / "page.html", COMMAND)
    text = (tmp_path / "page.html").read_text()
    table = text[text.index('id="league"') : text.index("</table>")]
    assert "8/8" in table
    assert 'id="filter" hidden' in text, "only a script filters"
    assert "--only=adding-T6-gru-lr0.01" in text
