"""Contenders that take turns: each in its own process, one works while the others wait."""

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from experiments.system.memory import SHARED
from gru_jax import fields
from scripts.benchmark.contenders import CHUNK, Contender, LeftOutError, Work, reference
from scripts.benchmark.entrants import CONTENDERS, VARIANTS, WORKLOADS
from scripts.paths import ROOT

ALL = CONTENDERS | VARIANTS
Measured = dict[str, Any]


def measure(
    cell: str,
    workload: str,
    names: list[str],
    repeats: int,
    seconds: float,
    places: Mapping[str, Path] = MappingProxyType({}),
    ahead: bool = False,
) -> dict[str, Measured]:
    """Each contender's row: seconds per step, one number per turn, and what it reports of itself.

    Args:
      places: folders of the contenders that are this project in another checkout.
      ahead: let all of them prepare at the same time, which is sooner done, but then the times that
        they took to compile say nothing.
    """
    rows: dict[str, Measured] = {}
    with contextlib.ExitStack() as stack:
        processes = {}
        begin = lambda name: stack.enter_context(
            _Process(name, cell, workload, seconds, places.get(name, ROOT))
        )
        begun = [(name, begin(name)) for name in names] if ahead else ((n, begin(n)) for n in names)
        for name, process in begun:
            ready = process.ask()
            if "left_out" in ready:
                print(f"{name} is left out: {ready['left_out']}")
                continue
            rows[name], processes[name] = {**ready, "seconds": []}, process
        for turn in range(repeats):
            order = list(processes)
            for name in order[turn % len(order) :] + order[: turn % len(order)]:
                rows[name]["seconds"].append(processes[name].ask("turn")["seconds"])
    return rows


class _Process:
    """A contender in its own process, which answers each line with a line of JSON."""

    def __init__(self, name: str, cell: str, workload: str, seconds: float, place: Path):
        self.name = name
        served = name.partition("@")[0]
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "scripts.benchmark", f"--serve={served}"),
                *(f"--cells={cell}", f"--workloads={workload}", f"--seconds={seconds}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=place,
            env=SHARED | os.environ,
        )

    def ask(self, line: str = "") -> Measured:
        assert self.process.stdin
        assert self.process.stdout
        if line:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        for answer in self.process.stdout:
            if answer.startswith("{"):  # libraries also print
                return json.loads(answer)
        raise OSError(f"{self.name} ended without an answer")

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.communicate()


def serve(options: argparse.Namespace) -> int:
    """What a contender's process does: prepares, reports what that took, and makes its turns."""
    cell, work = options.cells, work_of(options.workloads)
    say = lambda **answer: print(json.dumps(answer), flush=True)
    try:
        contender = ALL[options.serve](cell, work)
    except LeftOutError as error:
        say(left_out=str(error))
        return 0
    began = time.perf_counter()
    contender.train(CHUNK)
    steps = CHUNK * max(1, round(options.seconds / (time.perf_counter() - began)))
    say(
        steps=steps,
        # Read before the plain scan's gradient takes memory in this process.
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        compile_seconds=contender.compile_seconds,
        temporary_bytes=contender.temporary_bytes,
        taken=contender.taken,
        **_deviations(contender, cell, work),
    )
    for _ in sys.stdin:  # one turn per line
        began = time.perf_counter()
        contender.train(steps)
        say(seconds=(time.perf_counter() - began) / steps)
    return 0


def _deviations(contender: Contender, cell: str, work: Work) -> Measured:
    """Relative deviations of loss and gradient from those of our plain scan."""
    loss, gradient = contender.loss, contender.gradient
    if loss is None or gradient is None:
        return {"loss_deviation": None, "gradient_deviation": None}
    ours, kernels = reference(cell, work, **contender.otherwise)
    return {
        "loss_deviation": abs(loss - ours) / abs(ours),
        "gradient_deviation": float(np.abs(gradient - kernels).max() / np.abs(kernels).max()),
    }


def work_of(name: str) -> Work:
    """A workload by name, or from sizes like 4/100/2/16."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    sizes = name.split("/")
    if len(sizes) != 4 or not all(size.isdigit() and int(size) for size in sizes):
        allowed = f"one of {', '.join(WORKLOADS)}, or sizes like 4/100/2/16"
        raise fields.FieldError("--workloads", name, allowed)
    return Work(*map(int, sizes))
