"""The committed measurements of gradients, and the tables and figures that show them.

python -m scripts.paper.gradients DIR    DIR/gradients.json -> results/gradients.json
"""

import functools
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from experiments.figures import families, style
from experiments.figures.gradients import figures
from experiments.gradients import AFTER, BEFORE, INITIAL
from experiments.system.files import RunError, read_json, write_bytes, write_text
from scripts.paper import pages, results, starts
from scripts.paths import FIGURES, ROOT

MEASURED = ROOT / "results" / "gradients.json"
SHOWN = ("transport", "loss", "weights", "exponents", "gates", "trained", "trained_gates")
# The poster's lines: a colour and a mark for each kind of cell, a dash for each start.
POSTER = {
    "chrono": "-",
    "bias1": (0, (5, 1.5)),
    "bias0": (0, (1, 1)),
    "tanh-1.5": "-",
    "tanh-1": (0, (5, 1.5)),
    "tanh-0.5": (0, (1, 1)),
}
FLOOR = 1e-16
LAG = 100  # at which the tables show how much is carried
MARK = 1  # which of adding's inputs marks the summands


def main() -> int:
    return pages.collect(__doc__, collect)


def collect(folder: Path) -> int:
    """Copies the measurements of experiments.gradients."""
    write(MEASURED, read(folder))
    return 0


def read(folder: Path) -> dict[str, Any]:
    """Reads the measurements of experiments.gradients.

    Raises:
      RunError: they were made by code that is not committed.
    """
    found = read_json(folder / "gradients.json", f"{folder} holds no measurements")
    made = [found["environment"]]
    made += [each for group in (INITIAL, BEFORE, AFTER) for each in found.get(group, {}).values()]
    if any(each["modified"] or not each["commit"] for each in made):
        raise RunError(f"{folder} was measured by code that is not committed")
    return found


def write(path: Path, found: dict[str, Any]) -> None:
    """Writes JSON with one line per population, so that a diff is readable and not too long."""
    lines = []
    for when, group in found.items():
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(row)}" for name, row in group.items())
        lines.append(f"{json.dumps(when)}: {{\n{rows}\n}}")
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


@functools.cache
def load() -> dict[str, Any]:
    return json.loads(MEASURED.read_text())


def initial() -> str:
    """How far each cell carries a gradient at initialisation, as a Markdown table."""
    found = load()["initial"]
    lines = [
        f"| cell | start | carried over {LAG} steps | largest singular value over {LAG} steps "
        "| horizon | largest Lyapunov exponent | half-life in steps "
        "| share of the weights' gradient from the last ten steps |",
        "|---|---|" + "--:|" * 6,
    ]
    for name, measured in found.items():
        place, largest = measured["lags"].index(LAG), measured["largest_lags"].index(LAG)
        told = [
            _middle(_power, _at(measured["transport"], place)),
            _middle(_power, _at(measured["largest"], largest)),
            _horizon(measured),
            _middle("{:.3g}".format, _at(measured["exponents"], 0)),
            _middle(_steps, measured["half_life"]),
            _middle("{:.0%}".format, measured["recent"]),
        ]
        lines.append(f"| {_told(name, measured)} | {' | '.join(told)} |")
    lines += ["", provenance(load(), "initial") + pages.earlier(found.values())]
    return "\n".join(lines)


def trained() -> str:
    """The same cells with fewer units, before and after training on adding."""
    found, rows = load(), {each.row["trial"]: each for each in results.load("gradients_trained")}
    longest = next(iter(found["after"].values()))["lags"][-1]
    lines = [
        f"| cell | start | solved | median steps to solve | carried over {longest} steps: "
        "before | after | horizon: before | after | effect of a mark on the gain of its step, in "
        "nats: before | after |",
        "|---|---|" + "--:|" * 8,
    ]
    for name, after in found["after"].items():
        before, outcome = found["before"][name], rows[name].outcomes
        told = [
            *(_middle(_power, _at(each["transport"], -1)) for each in (before, after)),
            *(_horizon(each) for each in (before, after)),
            *(_middle("{:+.2f}".format, _at(each["response"], MARK)) for each in (before, after)),
        ]
        lines.append(
            f"| {_told(name, after)} "
            f"| {outcome.solved}/{outcome.seeds} | {outcome.steps} | {' | '.join(told)} |"
        )
    runs = next(iter(rows.values())).row
    commits = sorted({each.row["commit"][:8] for each in rows.values()})
    return "\n".join(
        [
            *lines,
            "",
            provenance(load(), "after"),
            "",
            "Trained by `python -m experiments.sweep --config=configs/sweeps/gradients.py "
            f"--workdir=runs/gradients_trained` at commit {', '.join(commits)}: "
            f"{runs['budget']:,} steps at most."
            + pages.earlier([*found["after"].values(), *(each.row for each in rows.values())]),
        ]
    )


def units() -> str:
    """Half-lives of units, and rank correlations of gates with the measured half-life."""
    found = load()
    lines = [
        "| cell | start | predicted half-life of units in steps: before | after "
        "| measured half-life: before | after | correlation with the predicted half-life: before "
        "| after | with the mean keeping gate: after | with the mean reset gate: before | after |",
        "|---|---|" + "--:|" * 9,
    ]
    for name, after in found["after"].items():
        if "gates" not in after:
            continue
        before = found["before"][name]
        keeps = families.keeping_gate(after["cell"])
        shown = [(before, "gate"), (after, "gate"), (after, keeps)]
        shown += [(before, "reset"), (after, "reset")]
        told = [
            _middle(_steps, measured["gates"]["half_life"][kind])
            for kind in ("gate", "own")
            for measured in (before, after)
        ]
        told += [_correlation(measured, gate) for measured, gate in shown]
        lines.append(f"| {_told(name, after)} | {' | '.join(told)} |")
    return "\n".join(lines)


def _told(name: str, measured: dict[str, Any]) -> str:
    """The first two columns: the cell and its start."""
    cell = measured["cell"]
    return f"{families.title(cell)} | {starts.words(cell, name)}"


def _power(log: float | None) -> str:
    """The number with this natural logarithm: 0.94, 2.6e-09, 1e-180."""
    if log is None:
        return "0"
    tens = log / math.log(10)
    if abs(tens) < 2:
        return f"{10**tens:.2g}"
    exponent = math.floor(tens)
    return f"{10 ** (tens - exponent):.1f}e{exponent:+03d}"


def _at(curves: dict[str, list[float | None]], place: int) -> list[Any]:
    """Lower quartile, median and upper quartile at one place of a curve."""
    return [curves[part][place] for part in ("low", "median", "high")]


def _middle(told: Callable[[Any], str], values: Sequence[Any]) -> str:
    """The median, and the quartiles if they read differently."""
    low, median, high = map(told, values)
    return f"{median} ({low}..{high})" if {low, high} != {median} else median


def _horizon(measured: dict[str, Any]) -> str:
    """A horizon that reaches the first step is at least T."""
    longest = measured["lags"][-1]
    told = lambda value: f"≥ {longest}" if value >= longest else f"{value:.0f}"
    return _middle(told, measured["horizon"])


def _steps(half_life: float | None) -> str:
    return "∞" if half_life is None else f"{half_life:.3g}"


def _correlation(measured: dict[str, Any], gate: str | None) -> str:
    """An empty cell if there is no such gate."""
    ranks = measured["gates"]["correlation"]
    if gate not in ranks:
        return ""
    return "constant" if ranks[gate] is None else _middle("{:.2f}".format, ranks[gate])


def provenance(found: dict[str, Any], when: str) -> str:
    """What the numbers of a group depend on: sizes, command, commit, versions."""
    made, group = found["environment"], found[when]
    told = lambda values: ", ".join(str(value) for value in sorted({*values}))
    commits = told(each["commit"][:8] for each in group.values())
    seconds = sum(each["seconds"] for each in group.values())
    return (
        f"{told(each['seeds'] for each in group.values())} seeds, "
        f"{told(each['units'] for each in group.values())} units, "
        f"T = {told(each['lags'][-1] for each in group.values())}, "
        f"{told(each['inputs'] for each in group.values())} examples per seed, "
        f"measured in {seconds / 60:.1f} minutes; "
        f"`{made['command']}` at commit {commits}, {pages.made_with(made)}."
    )


def poster() -> bytes:
    """The share of a gradient that each cell carries back, over the lag, at initialisation."""
    found = load()["initial"]
    figure, (axis,) = style.panels((9, 4.6))
    started = {name: starts.start(measured["cell"], name) for name, measured in found.items()}
    names = [name for name, start in started.items() if start in POSTER]
    place = found[names[0]]["lags"].index(LAG)
    carried = lambda name: found[name]["transport"]["median"][place]
    order = sorted(names, key=lambda name: -math.inf if carried(name) is None else -carried(name))
    for name in order:
        measured = found[name]
        low, median, high = (
            [
                FLOOR / 100 if log is None else max(math.exp(min(log, 90)), FLOOR / 100)
                for log in logs
            ]
            for logs in (measured["transport"][part] for part in ("low", "median", "high"))
        )
        cell = measured["cell"]
        line = {"ls": POSTER[started[name]], **families.style(cell)}
        label = f"{starts.title(cell, name)}: {_power(carried(name))}"
        axis.plot(measured["lags"], median, lw=2.2, ms=5, markevery=8, label=label, **line)
        axis.fill_between(measured["lags"], low, high, color=line["color"], alpha=0.2, lw=0)
    axis.set(yscale="log", ylim=(FLOOR, 1e2), xlim=(0, measured["lags"][-1]))
    axis.set(xlabel="steps back in time", ylabel="share of a gradient that is carried back")
    axis.axvline(LAG, color=style.MARK, lw=0.8, ls=style.DOTTED)
    axis.set_title("What a gradient loses on its way back, before any training", loc="left")
    axis.legend(
        title=f"median over {LAG} steps",
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
        frameon=False,
        handlelength=3.4,
        fontsize=9,
    )
    return style.saved(figure)


def draw() -> None:
    """The figures of README and docs/gradients.md."""
    drawn = figures(load())
    for name in SHOWN:
        write_bytes(FIGURES / f"{name}.png", drawn[name])
    write_bytes(FIGURES / "poster.png", poster())


if __name__ == "__main__":
    sys.exit(main())
