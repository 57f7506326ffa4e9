"""The programs as a user runs them: how tests start them, and the small run that they train."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

from configs import adding

ROOT = Path(__file__).parent.parent
TINY = {
    "task.length": 6,
    "model.hidden_sizes": "(4,)",
    "population.seeds": 2,
    "train.steps": 40,
    "train.log_every": 10,
    "train.checkpoint_every": 20,
    "train.batch_size": 4,
    "train.evaluation_examples": 8,
}


def program(name, *arguments, expect=0, **options):
    environment = {**os.environ, "COLUMNS": "120"} | options.pop("env", {})
    found = subprocess.run(
        [sys.executable, "-m", f"experiments.{name}", *arguments],
        capture_output=True,
        text=True,
        cwd=options.pop("cwd", ROOT),
        env=environment,
        check=False,
    )
    assert found.returncode == expect, found.stdout + found.stderr
    return found


def tiny(**overrides):
    return [f"--config.{name}={value}" for name, value in {**TINY, **overrides}.items()]


def tiny_config(base=adding, **overrides):
    config = base.get_config()
    with config.unlocked():
        config.update_from_flattened_dict({**TINY, "model.hidden_sizes": (4,), **overrides})
    return config


def one_line(text):
    return text.startswith("error: ") and text.count("\n") == 1


def bits(run):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(run.state)]
