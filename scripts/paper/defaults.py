"""What the config of every synthetic task achieves: time, score, other lengths, gates.

python -m scripts.paper.defaults DIR    trains what is missing in DIR, one run after the
                                        other (on an idle machine), and writes
                                        results/defaults.json
"""

import functools
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from experiments.runs.records import read_config
from experiments.settings import schema
from experiments.settings.resolution import resolve
from experiments.system.files import RunError, read_json, write_json, write_text
from gru_jax.tasks.verdict import Verdict
from scripts.paper import pages
from scripts.paths import FIGURES, ROOT

MEASURED = ROOT / "results" / "defaults.json"
# By the name of a run: its config, and the options that the config's docstring gives for it.
RUNS = {
    "adding": ("adding", ()),
    "copy_memory": ("copy_memory", ()),
    "variable_copy": ("variable_copy", ()),
    "selective_copy": ("selective_copy", ()),
    "copy_first": ("copy_first", ()),
    "temporal_order": ("temporal_order", ()),
    "temporal_order, 3": ("temporal_order", ("--config.task.relevant=3",)),
    "flip_flop": ("flip_flop", ()),
    "cumulative_sum": ("cumulative_sum", ()),
    "cumulative_sum, 5": ("cumulative_sum", ("--config.task.modulus=5",)),
    "bracket_counting": ("bracket_counting", ()),
    "word_problem": ("word_problem", ()),
    "formal_language": ("formal_language", ()),
    "mean_comparison": ("mean_comparison", ()),
    "savings": ("savings", ()),
    "verdict": ("verdict", ()),
    "verdict, start": (
        "verdict",
        ("--config.task.where=start", "--config.model.chrono_max=100.0"),
    ),
}
# Runs of the verdict task whose gates are measured: options, and where the figure goes. They train
# to a small loss, long after accuracy is perfect, so that the gates have settled.
GATED = {
    "at the end": (("--config.task.where=end",), "verdict_end.png"),
    "at the start of 30 words": (
        ("--config.task.where=start", "--config.task.length=30"),
        "verdict_start.png",
    ),
    "at the start, chrono": (
        ("--config.task.where=start", "--config.model.chrono_max=100.0"),
        "verdict_chrono.png",
    ),
}
SETTLED = ("--config.train.target_metric=loss", "--config.train.target=0.0001")
FACTORS = (0.5, 1, 2, 4)  # times the training length


def measure(folder: Path) -> int:
    """Trains, evaluates and records.

    Raises:
      RunError: a program failed, or a run was made by code that is not committed.
    """
    runs = {name: _default(folder, name, *run) for name, run in RUNS.items()}
    gates = {name: _gates(folder, *run) for name, run in GATED.items()}
    lines = [f"{json.dumps(name)}: {json.dumps(run)}" for name, run in runs.items()]
    written = '{"runs": {\n' + ",\n".join(lines) + '\n}, "gates": ' + json.dumps(gates) + "}\n"
    write_text(MEASURED, written)
    for _, figure in GATED.values():  # last: a run must find the code as it was committed
        shutil.copy(folder / "gates" / Path(figure).stem / "gates.png", FIGURES / figure)
    return 0


def _default(folder: Path, name: str, config: str, options: tuple[str, ...]) -> dict[str, Any]:
    """What a config achieves, at the training length and at others."""
    workdir = folder / name.replace(", ", "-")
    found = trained(workdir, config, options)
    if not (workdir / "lengths.json").exists():
        lengths = ",".join(str(round(factor * found["length"])) for factor in FACTORS)
        _program("evaluate", f"--run={workdir}", f"--lengths={lengths}")
    return found | {"lengths": read_json(workdir / "lengths.json", "")}


def _gates(folder: Path, options: tuple[str, ...], figure: str) -> dict[str, Any]:
    """For every gate and seed: the mean in plot, turn and verdict, and the shares of units in which
    it is closed and open.
    """
    workdir = folder / "gates" / Path(figure).stem
    found = trained(workdir, "verdict", (*options, *SETTLED))
    if not (workdir / "gates.json").exists():
        _program("gates", f"--run={workdir}")
    task = resolve(read_config(workdir)).experiment.task
    assert isinstance(task, Verdict)
    over = lambda steps, span: [statistics.fmean(seed[slice(*span)]) for seed in steps]
    found["gates"] = {
        gate: {
            kind: {part: over(means[kind], span) for part, span in task.spans.items()}
            for kind in ("by_step", "closed_by_step", "open_by_step")
        }
        for gate, means in read_json(workdir / "gates.json", "").items()
    }
    return found


def trained(workdir: Path, config: str, options: tuple[str, ...]) -> dict[str, Any]:
    """Trains the run if it is missing, and returns its results."""
    timed = workdir.with_suffix(".seconds.json")
    command = [f"--config=configs/{config}.py", *options]
    if not timed.exists():
        workdir.parent.mkdir(parents=True, exist_ok=True)
        print(workdir.name, flush=True)
        began = time.monotonic()
        _program("train", *command, f"--workdir={workdir}", "--force")
        write_json(timed, {"seconds": time.monotonic() - began})
    made = read_json(workdir / "environment.json", "")
    if made["modified"] or not made["commit"]:
        raise RunError(f"{workdir} was run by code that is not committed")
    resolved = read_json(workdir / "config.json", "")
    return {
        "command": " ".join(["python -m experiments.train", *command]),
        "seconds": round(read_json(timed, "")["seconds"], 1),
        "steps": resolved["train"]["steps"],
        "length": resolved["task"].get("length"),
        "schema": resolved["schema"],
        "metric": resolved["train"]["target_metric"],
        "target": resolved["train"]["target"],
        "summary": read_json(workdir / "summary.json", ""),
        "made": {key: made[key] for key in ("commit", "python", "packages", "devices")},
    }


def _program(name: str, *options: str) -> None:
    # Timed as on a machine that has never compiled it.
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}
    command = [sys.executable, "-m", f"experiments.{name}", *options]
    done = subprocess.run(command, env=environment, check=False)
    if done.returncode:
        raise RunError(f"experiments.{name} {' '.join(options)} ended with {done.returncode}")


@functools.cache
def load() -> dict[str, Any]:
    """The committed measurements: "runs" by name, "gates" by where the verdict stands."""
    return json.loads(schema.renamed(MEASURED.read_text()))


if __name__ == "__main__":
    sys.exit(pages.collect(__doc__, measure))
