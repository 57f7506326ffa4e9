"""What the gates of a GRU do at the turn from plot to verdict, in reviews of real sentences.

python -m scripts.paper.verdict_gates DIR    the folder of configs/sweeps/verdicts.py ->
                                             results/verdict_gates.json and its figure
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments.datasets.labelled import Columns, read_split
from experiments.datasets.texts import UNKNOWN, words_of
from experiments.figures import style
from experiments.measurements.gates import Recorded, order, record
from experiments.runs import Run
from experiments.runs import load as load_run
from experiments.runs.environment import environment
from experiments.runs.state import start
from experiments.settings.resolution import resolve_task
from experiments.stats.outcomes import quartiles
from experiments.system.files import RunError, write_bytes, write_json
from gru_jax.streams import VALIDATION
from gru_jax.tasks.dataset import LabelledSequences
from scripts.paper import pages
from scripts.paths import FIGURES, ROOT

MEASURED = ROOT / "results" / "verdict_gates.json"
FIGURE = "verdict_gates.png"
TRIALS = {
    "at the end": "end5-T189-gru-lr0.003",
    "at the end, chrono": "end5-T189-gru_chrono-lr0.003",
    "at the start": "start5-T189-gru-lr0.003",
    "at the start, chrono": "start5-T189-gru_chrono-lr0.003",
}
DRAWN = "end2-T114-gru-lr0.003"
PARTS = ("plot", "turn", "verdict")
FIRST = 3  # words after the turn
WORDS = 45  # the most that fit the figure


def main() -> int:
    return pages.collect(__doc__, collect)


def collect(folder: Path) -> int:
    """Measures the trained models of the sweep, and draws one review.

    Raises:
      RunError: the code is not committed.
    """
    made = environment()
    if made["modified"] or not made["commit"]:
        raise RunError("commit your changes first: results name the commit they are of")
    run = lambda trial: load_run(folder / "trials" / trial)
    found = {name: measured(run(trial)) for name, trial in TRIALS.items()}
    told = {key: made[key] for key in ("commit", "python", "packages")}
    write_json(MEASURED, {"gates": found, "made": told})
    write_bytes(FIGURES / FIGURE, style.saved(drawn(run(DRAWN))))
    return 0


def measured(run: Run) -> dict[str, Any]:
    """For each gate, in each part of a review, its mean over units and reviews: a number a seed,
    before and after training.
    """
    fresh = dataclasses.replace(run, state=start(run.settings))
    when = {"before": record(fresh), "after": record(run)}
    where = parts(run, when["after"])
    mean = lambda values, steps: [round(float(seed[steps].mean()), 4) for seed in values]
    return {
        gate: {
            time: {part: mean(recorded.gates[gate], steps) for part, steps in where.items()}
            for time, recorded in when.items()
        }
        for gate in when["after"].gates
    }


def parts(run: Run, recorded: Recorded) -> dict[str, np.ndarray]:
    """Which steps (examples, time) are of the plot, the first words after the turn, the verdict."""
    inside = recorded.inside
    length, said = inside.sum(axis=1)[:, None], verdict_lengths(run)[: len(inside), None]
    steps = np.arange(inside.shape[1])
    ends = str(run.settings.config["task"]["text_column"]).startswith("end")
    turn = length - said if ends else said
    first, last = inside & (steps < turn), inside & (steps >= turn)
    plot, verdict = (first, last) if ends else (last, first)
    return dict(zip(PARTS, (plot, last & (steps < turn + FIRST), verdict), strict=True))


def verdict_lengths(run: Run) -> np.ndarray:
    """The number of words of each verdict: without a plot, a review is its verdict."""
    task: dict[str, Any] = {**run.settings.config["task"], "text_column": "end-0"}
    alone = resolve_task(task)
    assert isinstance(alone, LabelledSequences)
    return np.asarray(alone.held_out.lengths)


def text_of(run: Run, example: int) -> str:
    """A review of validation, with the words that the vocabulary does not have."""
    task = run.settings.config["task"]
    rows = read_split(task["path"], Columns("label", task["text_column"], "split"))
    return [text for split, (_, text) in rows if split == VALIDATION][example]


def drawn(run: Run) -> Figure:
    """One review: what the first seed would say after each word, and its gates.

    It is the first short one that all seeds judge right, but that seed not before the verdict.
    """
    recorded = record(run)
    tokens, targets = (np.asarray(each) for each in (recorded.batch.inputs, recorded.batch.targets))
    lengths = recorded.inside.sum(axis=1)
    turns = parts(run, recorded)["plot"].sum(axis=1)
    said = lambda model, after: np.asarray(model(tokens, seq_lengths=after).argmax(axis=-1))
    right = np.all([said(model, lengths) == targets for model in run.models], axis=0)
    turned = right & (said(run.models[0], turns) != targets)
    short = turned & (lengths <= WORDS)
    assert short.any(), "no such review"
    example = int(short.argmax())
    length, turn = int(lengths[example]), int(turns[example])
    words = words_of(text_of(run, example))[:length]

    every = jnp.broadcast_to(tokens[example, :length], (length, length))
    outputs = run.models[0](every, seq_lengths=jnp.arange(1, length + 1))
    chance = np.asarray(jax.nn.softmax(outputs)[:, 1])

    figure, axes = style.panels((10, 6), rows=3, height_ratios=(1, 1.2, 1.2), sharex=True)
    axes[0].plot(chance, color=style.INK, marker="o", ms=3)
    axes[0].axhline(0.5, color=style.MARK, lw=0.8, ls=style.DOTTED)
    axes[0].set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1), ylabel="chance that\nit is positive")
    axes[0].set_title("the plot", loc="left", fontsize=10)
    axes[0].text(turn - 0.4, 1.09, "the verdict", fontsize=10, va="bottom")
    shown = order(recorded, 0)
    image: Any = None
    for axis, gate in zip(axes[1:], ("update", "reset"), strict=True):
        values = recorded.gates[gate][0, example, :length][:, shown].T
        image = axis.imshow(values, vmin=0, vmax=1, cmap="cividis", aspect="auto")
        axis.set(yticks=[], ylabel=f"{gate} gate\nof 64 units")
    for axis in axes:
        axis.axvline(turn - 0.5, color=style.MARK, lw=1.2)
    axes[-1].set_xticks(range(length), words, rotation=90, fontsize=9)
    for label, token in zip(axes[-1].get_xticklabels(), tokens[example, :length], strict=True):
        label.set_color(style.SEED if token == UNKNOWN else style.INK)
    figure.colorbar(image, ax=axes[1:], shrink=0.8, label="gate")
    return figure


@functools.cache
def load() -> dict[str, Any]:
    return json.loads(MEASURED.read_text())


def table() -> str:
    """The means of each gate before training, and after it in each part of a review."""
    lines = [
        "| verdict | gate | before training | in the plot | first words after the turn "
        "| in the verdict |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for name, gates in load()["gates"].items():
        for gate, times in gates.items():
            cells = [times["before"]["plot"], *(times["after"][part] for part in PARTS)]
            lines.append(f"| {name} | {gate} | {' | '.join(map(_told, cells))} |")
    made = load()["made"]
    lines += [
        "",
        f"Means over the units of a GRU and 128 validation reviews with five sentences of plot: "
        f"median (lowest..highest) of four seeds. `python -m scripts.paper.verdict_gates DIR` at "
        f"commit {made['commit'][:8]}, of the runs above; {pages.made_with(made)}.",
    ]
    return "\n".join(lines)


def _told(seeds: list[float]) -> str:
    return f"{quartiles(seeds)[1]:.2f} ({min(seeds):.2f}..{max(seeds):.2f})"


if __name__ == "__main__":
    sys.exit(main())
