"""The programs as a user runs them: how tests start them, and the small run that they train."""

import multiprocessing
import os
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

import jax
import numpy as np

from configs import adding

ROOT = Path(__file__).parent.parent
WIDE = {"COLUMNS": "120"}  # what is printed is not folded
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
    """Runs `python -m experiments.NAME`, or a module of another package, and what it printed.

    It starts in a copy of a process that has imported what the programs import. `fresh`, or a
    variable that JAX reads when it is imported, takes an interpreter of its own.
    """
    changed = env or {}
    if fresh or any(variable.startswith(("JAX_", "XLA_", "PYTHON")) for variable in changed):
        command = [sys.executable, "-m", _module(name), *arguments]
        found = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, **WIDE, **changed},
            check=False,
        )
        printed, status = (found.stdout, found.stderr), found.returncode
    else:
        started = Started(name, *arguments, env={**WIDE, **changed}, cwd=cwd)
        printed, status = started.communicate(), started.returncode
    assert status == expect, "".join(printed)
    return subprocess.CompletedProcess(name, status, *printed)


class Started:
    """`python -m experiments.NAME` in the background, with what `subprocess.Popen` has."""

    def __init__(self, name, *arguments, env=None, cwd=ROOT):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.imported"])
        folder = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, folder)
        self._printed = [Path(folder, stream) for stream in ("stdout", "stderr")]
        settings = ([str(each) for each in arguments], {**os.environ, **(env or {})}, cwd)
        self._process = context.Process(
            target=_run, args=(name, *settings, self._printed), daemon=True
        )
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self):
        return self._process.exitcode

    def poll(self):
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout=None):
        """What it has printed, once it has ended."""
        self._process.join(timeout)
        assert self.returncode is not None, f"it has not ended within {timeout} s"
        return tuple(
            path.read_text(errors="replace") if path.exists() else "" for path in self._printed
        )

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self._process.kill()
        self._process.join()


def _module(name):
    return name if "." in name else f"experiments.{name}"


def _run(name, arguments, environment, cwd, printed):
    """What `python -m experiments.NAME ARGUMENTS` does, once its modules are imported."""
    for number, path in enumerate(printed, 1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    lines = {"buffering": 1, "closefd": False}  # a program may end without flushing them
    sys.stdout, sys.stderr = (os.fdopen(number, "w", **lines) for number in (1, 2))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.path.insert(0, str(cwd))
    module = _module(name)
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
