"""A model of Shakespeare's characters: its bits, its time, and what it writes.

python -m scripts.paper.characters DIR    trains in DIR what results/characters.json lacks, one
                                          run after the other (on an idle machine), and writes it
"""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from experiments.runs import load as load_run
from experiments.sample import best, sample
from experiments.system.files import write_json
from experiments.system.terminal import duration
from gru_jax.tasks.next_step import Characters
from scripts.paper import defaults, pages
from scripts.paths import ROOT

MEASURED = ROOT / "results" / "characters.json"
# By what the table calls it, the options that differ from the config.
RUNS = {
    "GRU, state carried from window to window": (),
    "GRU, state reset, windows at random places": ("--config.train.carry_state=false",),
    "LSTM, state carried": ("--config.model.cell=lstm",),
    "GRU, state carried, more updates": ("--config.train.steps=10000",),
}
PROMPT, TEMPERATURE, LENGTH = "**HAMLET**", 0.7, 600


def measure(folder: Path) -> int:
    """Trains what is missing, and writes on from the prompt with the model of the last run.

    Raises:
      RunError: a program failed, or a run was made by code that is not committed.
    """
    measured = load()
    for number, (name, options) in enumerate(RUNS.items()):
        if name in measured["runs"]:
            continue
        workdir = folder / f"characters-{number}"
        measured["runs"][name] = defaults.trained(workdir, "characters", options)
        if name == [*RUNS][-1]:
            measured |= _described(workdir)
    write_json(MEASURED, measured | {"runs": {name: measured["runs"][name] for name in RUNS}})
    return 0


def _described(workdir: Path) -> dict[str, Any]:
    """What a model writes, and the sizes of the parts of the text that it has read."""
    run = load_run(workdir)
    task = run.task
    assert isinstance(task, Characters)
    tokens = sample(run.models[best(run)], task.tokens_of(PROMPT), TEMPERATURE, 0)
    text = bytes(task.alphabet[next(tokens)] for _ in range(LENGTH))
    sizes = {split: int(np.asarray(each.lengths).sum()) for split, each in task.splits.items()}
    return {"sizes": sizes, "text": PROMPT + text.decode(errors="replace")}


@functools.cache
def load() -> dict[str, Any]:
    """The committed measurements: "runs" by their names, and the "text" that was written."""
    return json.loads(MEASURED.read_text())


def table() -> str:
    """Bits per character of each run, and the text."""
    measured = load()
    *_, last = measured["runs"].values()
    lines = [
        "| two layers of 256 | weights | updates | validation | test | accuracy, test |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name, run in measured["runs"].items():
        found = run["summary"]
        bits = [f"{found[split]['loss']['mean']:.3f}" for split in ("eval", "test")]
        right = f"{100 * found['test']['accuracy']['mean']:.1f} %"
        size = [f"{found['parameters']:,}", f"{run['steps']:,}"]
        lines.append(f"| {' | '.join([name, *size, *bits, right])} |")
    made, sizes = last["made"], measured["sizes"]
    commits = ", ".join(sorted({run["made"]["commit"][:8] for run in measured["runs"].values()}))
    commands = ", ".join(f"`{run['command']}`" for run in measured["runs"].values())
    lines += [
        "",
        f"Bits per character, one seed; the last row took {duration(last['seconds'])} on "
        f"{made['devices']} CPU cores. The frequencies of characters alone give "
        f"{last['summary']['baseline_loss']:.2f} in validation. "
        f"{sizes['train']:,} characters to train, "
        f"{sizes['validation']:,} to validate, {sizes['test']:,} to test. Commands: "
        f"{commands}; commit {commits}, {pages.made_with(made)}.",
        "",
        f"`python -m experiments.sample --run=DIR --prompt='{PROMPT}' --length={LENGTH}`, with the "
        f"model of the last row:",
        "",
        f"```text\n{measured['text'].strip()}\n```",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(pages.collect(__doc__, measure))
