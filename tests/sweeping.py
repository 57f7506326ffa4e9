"""Files of small sweeps, as a user writes them, and folders as they are after training."""

import json
import textwrap

import numpy as np

from experiments.runs.environment import environment
from experiments.settings.trials import described
from experiments.sweeps.folder import SweepFolder
from experiments.system.files import write_json
from tests.programs import tiny_config

FILE = """
from configs import adding
from configs.variants import chain, product, values

def get_config(length="6"):
    config = adding.get_config()
    config.task.length = int(length)
    config.model.hidden_sizes = (4,)
    config.population.seeds = 2
    config.train.steps = {steps}
    config.train.log_every = 10
    config.train.checkpoint_every = 10
    config.train.batch_size = 4
    config.train.evaluation_examples = 8
    return config

def sweep(add):
{body}
"""

FEW = (
    "large-",
    "copy-T",
    "adding-T2000",
    "adding-T5000",
    "adding-T10000",
    "end",
    "start",
)  # what trials of fewer than eight seeds begin with

# What a row of results has beside its outcome, made up.
MADE = {
    "wall_seconds": 3600.0,
    "command": "python -m experiments.sweep --config=x --workdir=y",
    "commit": "c" * 40,
    "devices": 2,
    "device": "cpu",
    "python": "3",
    "packages": {},
    "schema": 3,
}


def sweep_file(path, body, steps=40):
    path.write_text(FILE.format(body=textwrap.indent(textwrap.dedent(body), "    "), steps=steps))
    return path


def trials(*overrides):
    """Trials that are named by their numbers."""

    def sweep(add):
        for number, each in enumerate(overrides):
            add(str(number), each)

    return described(tiny_config().to_dict(), sweep)


def rows(folder):
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def pretend(folder, sweep, solves=lambda _, seed: 20 + 10 * seed):
    """A sweep's folder as it would be after training, with made-up numbers."""
    trials = described(tiny_config(**{"population.seeds": 8, "train.target": 0.1}).to_dict(), sweep)
    folder.mkdir(parents=True)
    SweepFolder(folder).open(trials)
    told = {**environment(), "command": "python -m experiments.sweep --config=<x>&y"}
    for trial in trials:
        workdir = folder / "trials" / trial.name
        workdir.mkdir()
        steps = [solves(trial, seed) for seed in range(8)]
        draw = np.random.default_rng(len(trial.name))
        losses = [0.05 if step else 0.17 * draw.uniform(0.9, 1.1) for step in steps]
        rows = [
            {"step": step, "split": "eval", "seed": seed, "loss": 0.17 - 0.003 * step, "correct": 0}
            for step in range(10, 50, 10)
            for seed in range(8)
        ]
        (workdir / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        write_json(workdir / "config.json", trial.settings.config)
        write_json(workdir / "environment.json", told)
        summary = {
            "status": "completed",
            "step": 40,
            "wall_seconds": 8.0,
            "parameters": trial.settings.experiment.parameters,
            "baseline_loss": trial.settings.experiment.task.baseline_loss,
            "seeds": list(range(8)),
            "eval": {"loss": {"mean": None, "std": None, "per_seed": losses}},
            "solved_step": steps,
            "diverged_step": [None] * 8,
            "diverged_norm": [None] * 8,
        }
        write_json(workdir / "summary.json", summary)
    return folder
