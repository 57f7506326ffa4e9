"""The committed results of sweeps, and the tables and figures that show them.

python -m scripts.paper.results DIR [DIR...]    DIR/results.jsonl into results/NAME.jsonl
"""

import collections
import dataclasses
import functools
import json
import re
import sys
from pathlib import Path
from typing import Any

from matplotlib.lines import Line2D

from experiments.figures import style
from experiments.runs.records import judged
from experiments.stats.comparisons import Comparison, compared, ranked
from experiments.stats.outcomes import Outcomes, outcomes, quartiles
from experiments.sweeps.folder import FINISHED
from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_bytes
from gru_jax import fields
from scripts.paper import merging, pages, starts
from scripts.paths import FIGURES, ROOT

RESULTS = ROOT / "results"
# The variants in sweeps of a single cell, in words. The others are tested against the first.
VARIANTS = {
    "gates": {
        "full": "GRU",
        "before": "reset before the product",
        "open": "no reset gate",
        "constant": "update gate a learned constant",
        "replace": "no update gate",
    },
    "activations": {
        "tanh": "tanh",
        "softsign": "softsign",
        "relu": "ReLU",
        "linear": "linear",
        "hard_gates": "tanh, hard sigmoid gates",
    },
    "precision": {"float32": "float32", "bfloat16": "bfloat16"},
}
ABLATIONS = ("gates", "activations")
OTHERS = ("tasks", "zoo", "reach", "sentiment", "verdicts", "precision")
SWEEPS = (*ABLATIONS, *OTHERS, "cogscale", "cogscale_starts")
MANY = 15  # problems of a sweep, of which only the number is told beside a budget
BLIND: dict[str, Any] = {"color": style.MARK, "lw": 0.9, "ls": style.DOTTED}


@dataclasses.dataclass(frozen=True, eq=False)
class Result:
    """One trial: which variant, on which problem, at which learning rate, and its outcome.

    It is named problem-size-variant-rate, where the size is T100 for a length of 100, or another.
    """

    row: dict[str, Any]

    @property
    def problem(self) -> tuple[str, int]:
        """Its name, with a size that is not a length, and its length."""
        name, size, *_ = self.row["trial"].split("-")
        told = "" if size == f"T{self.row['length']}" else f", {size.replace('_', ' ')}"
        return name.replace("_", "-") + told, self.row["length"]

    @property
    def variant(self) -> str:
        return self.row["trial"].split("-")[2]

    @property
    def rate(self) -> float:
        return float(self.row["trial"].rpartition("-lr")[2])

    @property
    def judged(self) -> dict[str, Any]:
        return judged(self.row["summary"])

    @property
    def losses(self) -> list[float | None]:
        return self.judged["loss"]["per_seed"]

    @property
    def solved_steps(self) -> list[int | None]:
        return self.row["summary"]["solved_step"]

    @functools.cached_property
    def outcomes(self) -> Outcomes:
        return outcomes(self.losses, self.solved_steps, self.row["budget"])

    @property
    def right(self) -> float:
        """The median seed's share of right answers."""
        (metric,) = (name for name in self.judged if name != "loss")
        return quartiles(self.judged[metric]["per_seed"])[1]


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    return guarded(lambda: collect(parser.parse_args().folders))


def collect(folders: list[Path]) -> int:
    """Adds finished trials without their configs, which a row's command and commit determine.

    Raises:
      RunError: a trial was run by code that is not committed, or of a sweep that has no file.
    """
    for folder in folders:
        rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
        (name,) = {row.pop("config")["name"] for row in rows}
        ended = [row for row in rows if row["status"] in FINISHED]
        for row in ended:  # others may have failed before they had a commit
            if row["modified"] or not row["commit"]:
                raise RunError(f"{folder}: {row['trial']} was run by code that is not committed")
        told = merging.merge(RESULTS / f"{name}.jsonl", ended)
        print(f"results/{name}.jsonl: {told}; {folder}: {len(ended)} of {len(rows)} have ended")
    load.cache_clear()
    return 0


@functools.cache
def load(sweep: str) -> list[Result]:
    """The committed results of a sweep, of problems that are complete."""
    lines = (RESULTS / f"{sweep}.jsonl").read_text().splitlines()
    return [Result(row) for row in merging.shown(sweep, [json.loads(line) for line in lines])]


@functools.cache
def merit(result: Result) -> tuple[float, ...]:
    """A key, larger for better results on validation examples."""
    losses = result.row["summary"]["eval"]["loss"]["per_seed"]
    return outcomes(losses, result.solved_steps, result.row["budget"]).merit


def best(results: list[Result]) -> dict[tuple[tuple[str, int], str], Result]:
    """For each problem and variant the best rate, by `merit`."""
    return {(each.problem, each.variant): each for each in sorted(results, key=merit)}


def variants(sweep: str) -> dict[str, str]:
    """The variants of a sweep, in words. The others are tested against the first."""
    if sweep in VARIANTS:
        return VARIANTS[sweep]
    cells = {each.variant: each.row["cell"] for each in load(sweep)}
    return {name: starts.title(cells[name], name) for name in starts.ordered(cells)}


def looks(sweep: str) -> dict[str, dict[str, Any]]:
    """Colour and dashes of each variant in figures."""
    return starts.looks({each.variant: each.row["cell"] for each in load(sweep)})


def compare(sweep: str) -> dict[tuple[tuple[str, int], str], Comparison]:
    """Each variant against the sweep's reference on the same problem, both at their best rate."""
    chosen = best(load(sweep))
    reference = next(iter(variants(sweep)))
    tested = [place for place in chosen if place[1] != reference]
    seeds = lambda result: ranked(result.losses, result.solved_steps)
    pairs = [(seeds(chosen[p]), seeds(chosen[p[0], reference])) for p in tested]
    return dict(zip(tested, compared(pairs), strict=True))


def table(sweep: str) -> str:
    """A sweep's results as a Markdown table, with a row for each problem and variant."""
    told, tests, chosen = variants(sweep), compare(sweep), best(load(sweep))
    reference, order = next(iter(told.values())), list(told)
    lines = [
        "| task | T | variant | units | parameters | rate | solved (95 % interval) "
        "| median steps to solve | final loss: median (quartiles) | input-blind loss | right "
        f"| ahead of {reference} | p |",
        "|---|" + "--:|" + "---|" + "--:|" * 3 + "---|" + "--:|---|" + "--:|" * 4,
    ]
    for place in sorted(chosen, key=lambda place: (place[0], order.index(place[1]))):
        result, test = chosen[place], tests.get(place)
        (task, length), sums = result.problem, result.outcomes
        low, high = sums.success
        (units,) = {*json.loads(result.row["hidden_sizes"].replace("(", "[").replace(",)", "]"))}
        first, median, third = sums.loss
        ahead = f"{test.better:.0%} | {_p(test.p_holm)}" if test else " | "
        lines.append(
            f"| {task} | {length} | {told[result.variant]} | {units} "
            f"| {result.row['parameters']:,} | {result.rate:g} "
            f"| {sums.solved}/{sums.seeds} ({low:.0%}..{high:.0%}) | {sums.steps} "
            f"| {median:.3g} ({first:.3g}..{third:.3g}) | {result.row['baseline_loss']:.4g} "
            f"| {result.right:.0%} | {ahead} |"
        )
    return "\n".join([*lines, "", provenance(sweep)])


def across(sweep: str) -> str:
    """A sweep's results with a row for each variant and columns for each problem."""
    told, chosen = variants(sweep), best(load(sweep))
    judged = {place[0]: each.row["train.target_metric"] for place, each in sorted(chosen.items())}
    headings = [
        f"{task}, T = {length}: solved | steps | {'loss' if metric == 'loss' else 'right'} | rate"
        for (task, length), metric in judged.items()
    ]
    lines = [f"| cell | {' | '.join(headings)} |", "|---|" + "--:|" * 4 * len(judged)]
    for variant, title in told.items():
        cells = []
        for problem, metric in judged.items():
            result = chosen[problem, variant]
            sums = result.outcomes
            first, median, third = sums.loss
            loss = f"{median:.2g} ({first:.2g}..{third:.2g})"
            end = loss if metric == "loss" else f"{result.right:.0%}"
            cells.append(f"{sums.solved}/{sums.seeds} | {sums.steps} | {end} | {result.rate:g}")
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", provenance(sweep)])


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def provenance(sweep: str) -> str:
    """What a table's numbers depend on."""
    results = load(sweep)
    rows = [each.row for each in results]
    row = rows[0]
    told = lambda values: ", ".join(str(value) for value in sorted({*values}))
    command, *_ = row["command"].partition(" --workdir")
    command = re.sub(r" ('--only=[^']*'|--only=\S+)", "", command)  # it may be run part by part
    budgets = {each.problem[0]: each.row["budget"] for each in results}
    told_budgets = [f"{task} {steps:,}" for task, steps in budgets.items()]
    if len({*budgets.values()}) == 1:
        told_budgets = [f"{row['budget']:,}"]
    elif len(budgets) > MANY:
        counts = collections.Counter(budgets.values())
        told_budgets = [f"{fields.counted(n, 'problem')} {steps:,}" for steps, n in counts.items()]
    return (
        f"{told(each['seeds'] for each in rows)} seeds, learning rates "
        f"{told(each.rate for each in results)}; budget in "
        f"steps: {', '.join(told_budgets)}; at most "
        f"{pages.hours(rows)} in all. Commit {told(each['commit'][:8] for each in rows)}; "
        f"{pages.made_on(rows)}. All trials: `{command}`." + pages.earlier(rows)
    )


def ablations() -> dict[str, str]:
    """The tables of docs/ablations.md."""
    return {sweep: table(sweep) for sweep in ABLATIONS}


def draw() -> None:
    """The figures of docs/ablations.md."""
    _draw("gates", FIGURES / "gated.png")
    _draw("activations", FIGURES / "activations.png")


def _draw(sweep: str, path: Path) -> None:
    """Learning curves on every problem, with one line per variant, at its best rate."""
    chosen, told = best(load(sweep)), variants(sweep)
    looks = style.lines(len(told))
    problems = sorted({problem for problem, _ in chosen})
    figure, axes = style.panels((2.9 * len(problems), 3.6), len(problems), sharey=True)
    for axis, (task, length) in zip(axes, problems, strict=True):
        for variant, look in zip(told, looks, strict=True):
            row = chosen[(task, length), variant].row
            spread = [
                [float("nan") if loss is None else loss / row["baseline_loss"] for loss in losses]
                for losses in (row["curve"][name] for name in ("low", "median", "high"))
            ]
            style.band(axis, row["curve"]["step"], spread, **look)
            axis.plot(row["curve"]["step"][-1:], spread[1][-1:], "o", color=look["color"], ms=4)
        axis.axhline(1, **BLIND)
        axis.set(yscale="log", xlabel="step", xlim=(0, None))
        axis.set_title(f"{task}, T = {length}", fontsize=10)
    axes[0].set_ylabel("evaluation loss / input-blind loss")
    lines = [Line2D([], [], lw=1.8, **look) for look in looks]
    lines.append(Line2D([], [], **BLIND))
    figure.legend(
        lines,
        [*told.values(), "input-blind"],
        loc="outside upper center",
        ncols=6 if len(problems) > 3 else 3,
        frameon=False,
        fontsize=9,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, style.saved(figure))


if __name__ == "__main__":
    sys.exit(main())
