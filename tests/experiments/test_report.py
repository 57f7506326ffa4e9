"""The page about runs and sweeps: what it says, and how a browser shows it."""

import base64
import csv
import itertools
import json
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from configs.variants import product, values
from experiments.reports import charts
from experiments.reports.page import write_report
from experiments.reports.results import comparisons, curve, entries, write_results
from experiments.sweeps.folder import SweepFolder
from experiments.system.files import RunError
from tests.browser import opened
from tests.collected import music
from tests.programs import ROOT, one_line, program
from tests.sweeping import pretend

pytestmark = pytest.mark.usefixtures("least_effort")

COMMAND = "python -m experiments.report DIR"


CELLS = {"gru": {"model.cell": "gru"}, "vanilla": {"model.cell": "vanilla"}}


def cells(add):
    for name, overrides in product(values("task.length", (6, 12, 24), "T"), CELLS).items():
        reference = name.replace("vanilla", "gru")
        add(name, overrides, reference=reference if reference != name else None)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A page with everything on it: names to be escaped, a failure, several tasks and lengths."""

    def sweep(add):
        cells(add)
        add("copy", {"task": {"name": "copy_memory", "length": 3, "protocol": "tcn"}})
        add("long-" + 90 * "x", {"optimizer.learning_rate": 0.5})
        add("failed", {"model.cell": "lstm"})

    folder = tmp_path_factory.mktemp("report") / "a <b> & 'name'"
    slow = lambda trial, seed: None if "vanilla" in trial.name else 20 + 10 * seed
    pretend(folder, sweep, slow)
    (folder / "trials" / "failed" / "summary.json").unlink()
    SweepFolder(folder).fail("failed", "<script>alert(1)</script> the disk is full")
    write_report([folder], folder / "report.html", COMMAND)
    return folder / "report.html"


def test_names_and_reasons_are_escaped(page):
    text = page.read_text()
    assert text.count("<script") == 1  # its own, of which the policy of the page has the digest
    assert "&lt;script&gt;alert(1)&lt;/script&gt; the disk is full" in text
    assert "a &lt;b&gt; &amp; &#39;name&#39;" in text
    assert "--config=&lt;x&gt;" not in text  # the sweep's own command is told, not a trial's


def test_it_needs_nothing_else(page):
    text = page.read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', text)
    assert sources
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources)
    assert "@import" not in text
    assert "url(" not in text


def row_of(trial, text):
    """The words of the first row about a trial."""
    row = text[text.index(f"<span>{trial}</span>") :]
    return re.sub(r"<[^>]+>", " ", row[: row.index("</tr>")]).split()


def test_the_table_holds_the_statistics(page):
    text = page.read_text()
    assert "adding, T = 6" in text
    assert "copy memory, T = 3" in text
    row = row_of("T6-gru", text)
    assert "8/8" in row
    assert "68..100" in row, "Wilson's interval of 8 out of 8"
    assert "55" in row, "Kaplan-Meier median of 20, 30, ... 90"
    assert row.count("0.05") == 1, "the validation loss"
    assert row.count("0.167") == 1, "the input-blind loss"
    assert COMMAND in text
    assert "jax 0." in text


def test_what_test_examples_say_stands_beside_validation(page, tmp_path):
    folder = tmp_path / "sweep"
    shutil.copytree(page.parent, folder)
    path = folder / "trials" / "T6-gru" / "summary.json"
    told = json.loads(path.read_text())
    accuracy = [0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9]
    told["test"] = {
        "loss": {"per_seed": [0.08] * 7 + [None]},
        "accuracy": {"per_seed": accuracy},
    }
    path.write_text(json.dumps(told))
    write_report([folder], folder / "report.html", COMMAND)
    text = (folder / "report.html").read_text()
    row = text[text.index("<span>T6-gru</span>") :]
    shown = dict(re.findall(r'data-label="([^"]+)"[^>]*><span>([^<]+)', row)[:8])
    assert (shown["validation loss"], shown["test loss"]) == ("0.05 ", "0.08 ")
    assert shown["test accuracy"] == "0.85 "
    write_results(SweepFolder(folder))
    first, *others = csv.DictReader((folder / "results.csv").read_text().splitlines())
    assert float(first["loss_median"]) == 0.05
    found = [float(first[f"test_loss_{name}"]) for name in ("quarter", "median", "three_quarters")]
    assert found == [0.08, 0.08, 0.08]
    assert float(first["test_accuracy_median"]) == np.median(accuracy)
    assert all(row["test_loss_median"] == "" for row in others)


def test_results_are_json_where_most_seeds_have_diverged(tmp_path):
    folder = tmp_path / "sweep"
    pretend(folder, lambda add: add("gru", {}))
    told = json.loads((path := folder / "trials" / "gru" / "summary.json").read_text())
    told["eval"]["loss"]["per_seed"] = [0.1, *[None] * (len(told["solved_step"]) - 1)]
    path.write_text(json.dumps(told))
    write_results(SweepFolder(folder))
    refuse = lambda name: pytest.fail(f"{name} is no JSON")
    row = json.loads((folder / "results.jsonl").read_text(), parse_constant=refuse)
    assert row["loss_median"] is None


@pytest.mark.quick
def test_comparisons_are_those_of_the_statistics(page):
    found = comparisons(entries(page.parent))
    assert sorted(found) == ["T12-vanilla", "T24-vanilla", "T6-vanilla"]
    assert found["T6-vanilla"].better == 0
    assert found["T6-vanilla"].p_holm == pytest.approx(3 * found["T6-vanilla"].p)
    _, told = page.read_text().split("Against the reference")
    row, test = row_of("T6-vanilla", told), found["T6-vanilla"]
    assert row[-2:] == [f"{test.p:.2g}", f"{test.p_holm:.2g}"]


def test_a_curve_keeps_the_last_loss_of_a_seed_that_is_done():
    losses = {10: (3.0, 2.0, 1.0), 20: (2.0, 1.0), 30: (0.5, None)}
    metrics = [
        {"split": "eval", "step": step, "seed": seed, "loss": loss}
        for step, each in losses.items()
        for seed, loss in enumerate(each)
    ]
    entry = types.SimpleNamespace(metrics=metrics, settings=types.SimpleNamespace(seeds=(0, 1, 2)))
    assert curve(entry) == {
        "step": [10, 20, 30],
        "low": [1.5, 1.0, 0.75],
        "median": [2.0, 1.0, 1.0],
        "high": [2.5, 1.5, np.inf],
    }


def test_a_line_has_the_name_of_its_trial(page, monkeypatch):
    monkeypatch.setattr(charts, "_image", lambda figure, *_: figure)
    found = [entry for entry in entries(page.parent) if entry.name.startswith("T6")]
    found[1].curve["median"] = [2 * loss for loss in found[1].curve["median"]]
    lines = {line.get_label(): line for line in charts._curves("", tuple(found)).axes[0].lines}
    for entry in found:
        assert list(lines[entry.name].get_ydata()) == entry.curve["median"]
    assert found[0].curve != found[1].curve


def test_several_folders_side_by_side(tmp_path):
    one, other = pretend(tmp_path / "one", cells), pretend(tmp_path / "other", cells)
    alone = one / "trials" / "T6-gru"
    write_report([one, other, alone], tmp_path / "page.html", COMMAND)
    text = (tmp_path / "page.html").read_text()
    for name in ("one/T6-gru", "other/T6-gru", "T6-gru"):
        assert f"<span>{name}</span>" in text
    assert "<span>one/T6-vanilla</span>" in text
    assert text.count("Against the reference") == 1


def test_folders_of_one_name_are_told_apart_and_corrected_together(tmp_path):
    """As those of two clones are; in one of them the vanilla networks fail."""
    fails = lambda trial, seed: None if "vanilla" in trial.name else 20 + 10 * seed
    one, other = pretend(tmp_path / "a" / "cells", cells), tmp_path / "b" / "cells"
    pretend(other, cells, fails)
    write_report([one, other], tmp_path / "page.html", COMMAND)
    text = (tmp_path / "page.html").read_text()
    assert "<span>a/cells/T6-vanilla</span>" in text
    assert "<span>b/cells/T6-vanilla</span>" in text
    alone = [comparisons(entries(folder)) for folder in (one, other)]
    assert [tests["T6-vanilla"].better for tests in alone] == [0.5, 0]
    (section,) = re.findall("<h2>Against the reference</h2>.*?</table>", text, re.DOTALL)
    rows = re.findall("<tr.*?</tr>", section, re.DOTALL)
    ahead = {name: [row for row in rows if f"{name}/cells/T6-vanilla" in row] for name in "ab"}
    assert "50 %" in ahead["a"][0]
    assert "50 %" not in ahead["b"][0]
    assert "over\nthe 6 comparisons of this page" in section
    assert f"{6 * alone[1]['T6-vanilla'].p:.2g}" in ahead["b"][0]


def test_many_trials_of_one_task_are_shown_apart(tmp_path):
    def sweep(add):
        for rate, beta in itertools.product((0.1, 0.2), (0.5, 0.6, 0.7, 0.8, 0.9)):
            bias = {"model.keeping_bias": beta}
            add(f"r{rate}-b{beta}", {"optimizer.learning_rate": rate, **bias})
        add("hochreiter", {"task.protocol": "hochreiter", "task.length": 30})

    folder = pretend(tmp_path / "sweep", sweep)
    write_report([folder], tmp_path / "page.html", COMMAND)
    titles = re.findall("<h3>(.*)</h3>", (tmp_path / "page.html").read_text())
    assert titles == [
        "adding, T = 6, protocol = halves, learning rate = 0.1",
        "adding, T = 6, protocol = halves, learning rate = 0.2",
        "adding, T = 30, protocol = hochreiter, learning rate = 0.01",
    ]


def test_collected_examples_have_a_length_of_their_own(tmp_path):
    """Which no field of the config holds."""
    task = {"name": "piano", "path": str(music(tmp_path)[0])}
    music_task = {"task": task, "train.evaluation_examples": 0}
    folder = pretend(tmp_path / "sweep", lambda add: add("music", music_task))
    write_report([folder], tmp_path / "page.html", COMMAND)
    assert "<h3>piano, T = 11</h3>" in (tmp_path / "page.html").read_text()


def test_a_figure_over_length_has_lines_of_several_lengths():
    def told(*pairs):
        """Of these (length, width), the lines by their names."""

        def entry(length, width):
            config = {
                "task": {"name": "adding", "length": length},
                "model": {"hidden_sizes": [width]},
            }
            settings = types.SimpleNamespace(
                config=config,
                experiment=types.SimpleNamespace(task=types.SimpleNamespace(length=length)),
            )
            return types.SimpleNamespace(name=f"T{length}-H{width}", settings=settings)

        found = charts._over_length([entry(*pair) for pair in pairs])
        return {name: len(line) for lines in found.values() for name, line in lines.items()}

    assert told((50, 8), (50, 16)) == {}
    assert told((50, 8), (100, 9)) == {"T50-H8": 2}  # about as many parameters
    assert told((50, 8), (50, 16), (100, 8), (100, 16), (200, 8)) == {"H8": 3, "H16": 2}


def test_one_run(tmp_path):
    folder = pretend(tmp_path / "sweep", cells) / "trials" / "T12-gru"
    write_report([folder], tmp_path / "page.html", COMMAND)
    text = (tmp_path / "page.html").read_text()
    assert "adding, T = 12" in text
    assert "Against the reference" not in text
    assert "--config=&lt;x&gt;" in text


@pytest.mark.parametrize("empty", [True, False])
def test_a_folder_without_results(tmp_path, empty):
    folder = tmp_path / "x"
    if empty:
        folder.mkdir()
    else:
        pretend(folder, cells)
        for summary in folder.glob("trials/*/summary.json"):
            summary.unlink()
    expected = "neither a sweep nor a run" if empty else "no run in it has ended yet"
    command = [sys.executable, "-m", "experiments.report", str(folder)]
    out = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 2
    assert expected in out.stderr
    assert out.stderr.count("\n") == 1
    assert not (folder / "report.html").exists()
    with pytest.raises(RunError, match=expected):
        write_report([folder], tmp_path / "page.html", COMMAND)


@pytest.mark.parametrize(("arguments", "message"), [([], "DIR"), (["--outptu=a"], "outptu")])
def test_bad_arguments_are_one_line(arguments, message):
    out = program("report", *arguments, expect=2)
    assert one_line(out.stderr)
    assert message in out.stderr


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_all_of_it(page, chromium, tmp_path, width):
    found = opened(chromium, page.read_text(), tmp_path, width)
    # Learning curves of four problems, and the figure over T.
    assert found == {
        "width": width,
        "hidden": 0,
        "errors": [],
        "wide": [],
        "images": 5,
        "shown": 5,
        "told": None,
    }


def test_its_pictures_are_drawn_with_vectors(page):
    (first, *_) = re.findall(r"base64,([^\"]*)", page.read_text())
    assert b"<svg" in base64.b64decode(first)[:500]


def test_it_prints(page, chromium, tmp_path):
    printed = tmp_path / "page.pdf"
    subprocess.run(
        [
            *(chromium, "--headless=new", "--no-sandbox", "--disable-gpu"),
            *(
                f"--user-data-dir={tmp_path / 'profile'}",
                f"--print-to-pdf={printed}",
                page.as_uri(),
            ),
        ],
        capture_output=True,
        timeout=120,
        check=True,
    )
    assert printed.read_bytes().startswith(b"%PDF")
