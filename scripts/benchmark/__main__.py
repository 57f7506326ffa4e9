"""Times whole training steps of this project and of other libraries, on the same work.

python -m scripts.benchmark                          every workload, with a GRU
python -m scripts.benchmark --cells=gru,lstm,vanilla --output=results/benchmark.json
python -m scripts.benchmark --workloads=E,4/100/2/16 (batch/time/input/hidden)

Every contender has its own process. They take turns, several times over: one works while the others
wait. A library that is not installed is named and left out.
"""

import argparse
import importlib.metadata
import statistics
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from gru_jax import CELLS, fields
from scripts.benchmark.contenders import Work
from scripts.benchmark.entrants import CONTENDERS, FLOORS, OURS, VARIANTS, WORKLOADS
from scripts.benchmark.turns import ALL, Measured, measure, serve, work_of


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
    works = {name: work_of(name) for name in options.workloads.split(",")}
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
            show(found[-1])
    if options.output:
        write_json(options.output, {"results": found, "environment": surroundings(found)})
    return 0


def show(found: Measured) -> None:
    """Prints the table of a workload."""
    sizes = tuple(found[size] for size in Work.__dataclass_fields__)
    title = f"{found['cell']}, workload {found['workload']} {sizes}"
    Console(width=max(110, Console().width)).print(table(title, found["contenders"]))


def surroundings(found: list[Measured]) -> Measured:
    """The environment, with the versions of all libraries that took part."""
    from experiments.runs.environment import environment

    made = environment()
    names = {name for each in found for name in each["contenders"]}
    taken = {getattr(ALL.get(name), "distribution", None) for name in names}
    for name in sorted(filter(None, taken)):
        made["packages"][name] = importlib.metadata.version(name)
    return made


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


if __name__ == "__main__":
    sys.exit(main())
