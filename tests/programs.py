"""The programs as a user runs them: how tests start them, and the small run that they train."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
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


def program(name, *arguments, expect=0, fresh=False, env=None, cwd=ROOT):
    """Runs `python -m experiments.NAME` and returns what it printed.

    It starts in a copy of a process that has imported what the programs import. `fresh`, or a
    variable that JAX reads when it is imported, takes an interpreter of its own.
    """
    changed = env or {}
    environment = {**os.environ, "COLUMNS": "120", **changed}
    if fresh or any(variable.startswith(("JAX_", "XLA_", "PYTHON")) for variable in changed):
        command = [sys.executable, "-m", f"experiments.{name}", *arguments]
        found = subprocess.run(
            command, capture_output=True, text=True, cwd=cwd, env=environment, check=False
        )
    else:
        found = _forked(name, [str(each) for each in arguments], environment, cwd)
    assert found.returncode == expect, found.stdout + found.stderr
    return found


def _forked(name, arguments, environment, cwd):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.imported"])
    with tempfile.TemporaryDirectory() as folder:
        printed = [Path(folder, stream) for stream in ("stdout", "stderr")]
        process = context.Process(target=_run, args=(name, arguments, environment, cwd, printed))
        process.start()
        process.join()
        texts = [path.read_text() for path in printed]
    return subprocess.CompletedProcess(name, process.exitcode, *texts)


def _run(name, arguments, environment, cwd, printed):
    """What `python -m experiments.NAME ARGUMENTS` does, once its modules are imported."""
    for number, path in enumerate(printed, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    module = f"experiments.{name}"
    sys.argv = [module, *arguments]
    sys.orig_argv = [sys.executable, "-m", module, *arguments]
    sys.modules.pop(module, None)  # it is to be the main one
    runpy.run_module(module, run_name="__main__", alter_sys=True)


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
