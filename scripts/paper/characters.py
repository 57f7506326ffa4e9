"""A model of Shakespeare's characters: its bits, its time, and what it writes.

python -m scripts.paper.characters DIR    trains what is missing in DIR, one run after the
                                          other (on an idle machine), and writes
                                          results/characters.json
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
    "state carried from window to window": (),
    "state reset, windows at random places": ("--config.train.carry_state=false",),
}
PROMPT, TEMPERATURE, LENGTH = "**HAMLET**", 0.7, 600


def measure(folder: Path) -> int:
    """Trains, and writes on from the prompt with the first model.

    Raises:
      RunError: a program failed, or a run was made by code that is not committed.
    """
    folders = {name: folder / f"characters-{number}" for number, name in enumerate(RUNS)}
    found = {
        name: defaults.trained(folders[name], "characters", options)
        for name, options in RUNS.items()
    }
    run = load_run(next(iter(folders.values())))
    task = run.task
    assert isinstance(task, Characters)
    tokens = sample(run.models[best(run)], task.tokens_of(PROMPT), TEMPERATURE, 0)
    text = bytes(task.alphabet[next(tokens)] for _ in range(LENGTH))
    sizes = {split: int(np.asarray(each.lengths).sum()) for split, each in task.splits.items()}
    write_json(
        MEASURED, {"runs": found, "sizes": sizes, "text": PROMPT + text.decode(errors="replace")}
    )
    return 0


@functools.cache
def load() -> dict[str, Any]:
    """The committed measurements: "runs" by their names, and the "text" that was written."""
    return json.loads(MEASURED.read_text())


def table() -> str:
    """Bits per character and time of each run, and the text."""
    measured = load()
    first = next(iter(measured["runs"].values()))
    lines = [
        "| two layers of 256 GRU units | validation | test | accuracy, test | time |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, run in measured["runs"].items():
        found = run["summary"]
        bits = [f"{found[split]['loss']['mean']:.3f}" for split in ("eval", "test")]
        right = f"{100 * found['test']['accuracy']['mean']:.1f} %"
        lines.append(f"| {' | '.join([name, *bits, right, duration(run['seconds'])])} |")
    made, sizes = first["made"], measured["sizes"]
    commits = ", ".join(sorted({run["made"]["commit"][:8] for run in measured["runs"].values()}))
    commands = ", ".join(f"`{run['command']}`" for run in measured["runs"].values())
    lines += [
        "",
        f"Bits per character, one seed of {first['summary']['parameters']:,} weights, after "
        f"{first['steps']:,} updates; the frequencies of characters alone give "
        f"{first['summary']['baseline_loss']:.2f}. {sizes['train']:,} characters to train, "
        f"{sizes['validation']:,} to validate, {sizes['test']:,} to test. Commands: "
        f"{commands}; commit {commits}, {made['devices']} CPU cores, "
        f"{pages.made_with(made)}.",
        "",
        f"`python -m experiments.sample --run=DIR --prompt='{PROMPT}' --length={LENGTH}`:",
        "",
        f"```text\n{measured['text'].strip()}\n```",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(pages.collect(__doc__, measure))
