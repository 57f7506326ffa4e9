"""Times whole training steps of this project and of other libraries, on the same work.

python -m scripts.benchmark                          every workload, with a GRU
python -m scripts.benchmark --cells=gru,lstm,vanilla --output=results/benchmark.json
python -m scripts.benchmark --workloads=E,4/100/2/16 (batch/time/input/hidden)

Every contender has its own process. They take turns, several times over: one works while the others
wait. A library that is not installed is named and left out.
"""

import argparse
import contextlib
import importlib.metadata
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from gru_jax import CELLS, fields
from scripts.benchmark.contenders import CHUNK, Contender, LeftOutError, Work, reference
from scripts.benchmark.entrants import CONTENDERS, FLOORS, OURS, VARIANTS, WORKLOADS
from scripts.paths import ROOT

ALL = CONTENDERS | VARIANTS
Measured = dict[str, Any]


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument(
        "--workloads", default=",".join(WORKLOADS), help="names, or sizes like 4/100/2/16"
    )
    parser.add_argument("--cells", default=next(iter(CELLS)), help=f"some of {', '.join(CELLS)}")
    parser.add_argument(
        "--contenders",
        default=",".join(CONTENDERS),
        help=f"names; not among the default: {', '.join(VARIANTS)}",
    )
    parser.add_argument(
        "--beside", type=Path, help="another checkout of this project that also takes part"
    )
    parser.add_argument("--repeats", type=int, default=7, help="turns of each contender")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one turn, roughly")
    parser.add_argument("--output", type=Path, help="a JSON file for the results")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    return guarded(lambda: serve(options) if options.serve else compare(options))


def compare(options: argparse.Namespace) -> int:
    """Measures every workload with every cell, and prints a table for each."""
    fields.integer("--repeats", options.repeats, 1)
    fields.real("--seconds", options.seconds, least=0)
    cells = [fields.one_of("--cells", cell, CELLS) for cell in options.cells.split(",")]
    works = {name: _work(name) for name in options.workloads.split(",")}
    names = [fields.one_of("--contenders", name, ALL) for name in options.contenders.split(",")]
    places = {}
    if options.beside:
        name = f"{OURS}@{_commit(options.beside)}"
        names.insert(1, name)
        places[name] = options.beside
    found = []
    for cell in cells:
        for name, work in works.items():
            rows = measure(cell, name, names, options.repeats, options.seconds, places)
            found.append({"cell": cell, "workload": name, **vars(work), "contenders": rows})
            Console(width=max(110, Console().width)).print(
                table(f"{cell}, workload {name} {tuple(vars(work).values())}", rows)
            )
    if options.output:
        from experiments.runs.environment import environment

        made = environment()
        taken = {getattr(ALL.get(name), "distribution", None) for name in found[0]["contenders"]}
        for name in sorted(filter(None, taken)):
            made["packages"][name] = importlib.metadata.version(name)
        write_json(options.output, {"results": found, "environment": made})
    return 0


def measure(
    cell: str,
    workload: str,
    names: list[str],
    repeats: int,
    seconds: float,
    places: Mapping[str, Path] = MappingProxyType({}),
) -> dict[str, Measured]:
    """Each contender's row: seconds per step, one number per turn, and what it reports of itself.

    Args:
      places: folders of the contenders that are this project in another checkout.
    """
    rows: dict[str, Measured] = {}
    with contextlib.ExitStack() as stack:
        processes = {}
        for name in names:
            place = places.get(name, ROOT)
            process = stack.enter_context(_Process(name, cell, workload, seconds, place))
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
    cell, work = options.cells, _work(options.workloads)
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


def table(title: str, rows: dict[str, Measured]) -> Table:
    """Median and spread, ratios of medians, memory, compile time, and deviations."""
    shown = Table(title=title)
    shown.add_column("contender", no_wrap=True)
    columns = ("ms per step", "x ours", "x floor", "compile", "planned", "peak", "loss", "gradient")
    for column in columns:
        shown.add_column(column, justify="right", no_wrap=True)
    medians = {name: statistics.median(row["seconds"]) for name, row in rows.items()}
    floors = [medians[name] for name in FLOORS if name in medians]
    over = lambda name, least: f"{medians[name] / least:.2f}" if least else ""
    number = lambda value, form, scale=1: "" if value is None else form.format(value * scale)
    for name, row in rows.items():
        low, high = 1e3 * min(row["seconds"]), 1e3 * max(row["seconds"])
        shown.add_row(
            name,
            f"{1e3 * medians[name]:.1f} ({low:.1f}..{high:.1f})",
            over(name, medians.get(OURS)),
            over(name, min(floors, default=None)),
            number(row["compile_seconds"], "{:.1f} s"),
            number(row["temporary_bytes"], "{:.1f} MiB", 2**-20),
            number(row["peak_bytes"], "{:.0f} MiB", 2**-20),
            number(row["loss_deviation"], "{:.0e}"),
            number(row["gradient_deviation"], "{:.0e}"),
        )
    shown.caption = (
        "x floor: the fastest floor; planned: temporaries of the compiled step; peak: memory of "
        "the process; loss, gradient: relative deviation from our plain scan"
    )
    return shown


def _commit(checkout: Path) -> str:
    """The first digits of a checkout's commit."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short=8", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode:
        raise fields.FieldError("--beside", str(checkout), "a checkout of this project")
    return found.stdout.strip()


def _work(name: str) -> Work:
    """A workload by name, or from sizes like 4/100/2/16."""
    if name in WORKLOADS:
        return WORKLOADS[name]
    sizes = name.split("/")
    if len(sizes) != 4 or not all(size.isdigit() and int(size) for size in sizes):
        allowed = f"one of {', '.join(WORKLOADS)}, or sizes like 4/100/2/16"
        raise fields.FieldError("--workloads", name, allowed)
    return Work(*map(int, sizes))


if __name__ == "__main__":
    sys.exit(main())
