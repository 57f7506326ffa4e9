"""The tables of docs/performance.md and README, and their figure, from what was timed.

results/benchmark_NAME.json are `scripts.benchmark`'s, linear.json is `scripts.benchmark.linear`'s,
startup.json is `scripts.endurance.startup`'s.
"""

import json
import statistics
from pathlib import Path
from typing import Any

from experiments.figures import families, style
from experiments.system.files import write_bytes
from gru_jax import CELLS
from scripts.benchmark import linear as linear_cells
from scripts.benchmark.contenders import Work
from scripts.benchmark.entrants import FLOORS, OURS, SETTINGS, WORKLOADS
from scripts.endurance import startup
from scripts.paper import pages, results
from scripts.paper.temporaries import formula, predicted
from scripts.paths import FIGURES

PATHS = {"plain": "-plain", "batched": "", "recomputed": "-recomputed"}  # suffixes of our rows
PEERS = ("flax.nnx", "flax.linen", "haiku", "equinox", "keras", "torch")
IN = "-in-scan"
POPULATION, ALONE = "gru_jax-8-seeds", "gru_jax-1-core"
SEEDS = 8
Rows = dict[str, dict[str, Any]]


def timed() -> tuple[str, ...]:
    """The cells whose benchmark is committed."""
    return tuple(cell for cell in CELLS if _path(cell).exists())


def _path(name: str) -> Path:
    return results.RESULTS / f"benchmark_{name}.json"


def load(name: str) -> dict[str, Any]:
    return json.loads(_path(name).read_text())


def workloads(name: str) -> list[tuple[str, Work, Rows]]:
    """The name, sizes and contenders of each workload in a committed benchmark."""
    return [
        (found["workload"], _work(found), found["contenders"]) for found in load(name)["results"]
    ]


def _work(found: dict[str, Any]) -> Work:
    return Work(**{size: found[size] for size in Work.__dataclass_fields__})


def milliseconds(row: dict[str, Any]) -> float:
    """The median over a contender's turns, per step."""
    return 1e3 * statistics.median(row["seconds"])


def times(rows: Rows, slow: str, fast: str = OURS) -> float:
    """How many times as long `slow` takes."""
    return milliseconds(rows[slow]) / milliseconds(rows[fast])


def floor(rows: Rows) -> str:
    """The floor: the fastest of the ways to compute a step's products."""
    return min((name for name in FLOORS if name in rows), key=lambda name: milliseconds(rows[name]))


def at_best(rows: Rows, peer: str) -> str:
    """A library at the fastest of its settings."""
    settings = [peer, *(name for name in SETTINGS.get(peer, ()) if name in rows)]
    return min(settings, key=lambda name: milliseconds(rows[name]))


def _against(rows: Rows, peer: str) -> str:
    """How many times as long it takes as documented and, if that was timed, at its best."""
    if peer not in rows:
        return ""
    told = f"{times(rows, peer):.2f}"
    tried = any(name in rows for name in SETTINGS.get(peer, ()))
    return f"{told} ({times(rows, at_best(rows, peer)):.2f})" if tried else told


def versus() -> str:
    """Our time, also over the floor, and that of each library over ours."""
    lines = [
        f"| cell | workload | ours: ms per step | x floor | {' | '.join(PEERS)} |",
        f"|---|---|--:|--:|{'--:|' * len(PEERS)}",
    ]
    for cell in timed():
        for name, _, rows in workloads(cell):
            low, high = (1e3 * end(rows[OURS]["seconds"]) for end in (min, max))
            peers = [_against(rows, peer) for peer in PEERS]
            lines.append(
                f"| {families.title(cell)} | {name} "
                f"| {milliseconds(rows[OURS]):.1f} ({low:.1f}..{high:.1f}) "
                f"| {times(rows, OURS, floor(rows)):.2f} | {' | '.join(peers)} |"
            )
    return "\n".join([*lines, "", *(_made(load(cell)) for cell in timed())])


def headline() -> str:
    """README's sentence, of the first cell."""
    cell = timed()[0]
    found = [
        [times(rows, at_best(rows, peer)) for peer in PEERS if peer in rows]
        for *_, rows in workloads(cell)
    ]
    low, high = (end(map(min, found)) for end in (min, max))
    return (
        f"In the fastest of the other libraries, a whole training step with a "
        f"{families.title(cell)} takes {low:.1f} to {high:.1f} times as long, over five workloads "
        f"on {load(cell)['environment']['processor']}: [docs/performance.md](docs/performance.md)."
    )


def sizes() -> str:
    """The sizes of the workloads."""
    lines = ["| workload | batch | time | inputs | units |", "|---|--:|--:|--:|--:|"]
    for name, work in WORKLOADS.items():
        lines.append(f"| {name} | {' | '.join(str(size) for size in vars(work).values())} |")
    return "\n".join(lines)


def paths() -> str:
    """Each way to compute the gradient: time over the floor, and planned memory."""
    ways = " | ".join(f"{path}: x floor, MiB" for path in PATHS)
    lines = [
        f"| cell | workload | {ways} | flax.nnx: MiB |",
        f"|---|---|{'--:|' * len(PATHS)}--:|",
    ]
    for cell in timed():
        for name, _, rows in workloads(cell):
            found = [f"{OURS}{end}" for end in PATHS.values()]
            shown = [
                f"{times(rows, row, floor(rows)):.2f}, {planned(rows[row]):.0f}" for row in found
            ]
            lines.append(
                f"| {families.title(cell)} | {name} | {' | '.join(shown)} "
                f"| {planned(rows['flax.nnx']):.0f} |"
            )
    return "\n".join(lines)


def derived() -> str:
    """The last commit with cells split by hand, beside gradients derived from a step."""
    lines = [
        "| cell | workload | time by hand / derived | by hand: MiB | derived: MiB |",
        "|---|---|--:|--:|--:|",
    ]
    for cell in timed():
        for name, _, rows in workloads(cell):
            (old,) = (row for row in rows if row.startswith(f"{OURS}@"))
            lines.append(
                f"| {families.title(cell)} | {name} | {times(rows, old):.2f} "
                f"| {planned(rows[old]):.0f} | {planned(rows[OURS]):.0f} |"
            )
    return "\n".join(lines)


def foreign() -> str:
    """Speed-ups of other libraries' cells, and of a reset before the product, in `scan`."""
    ends = {f"{peer}{IN}": peer for peer in PEERS}
    ends[f"{OURS}-reset-before"] = f"{OURS}-reset-before-plain"
    cells = {cell: workloads(cell) for cell in timed()}
    there = {row for found in cells.values() for _, _, rows in found for row in rows}
    names = [row for row in ends if row in there]
    titles = [name.removesuffix(IN).replace(f"{OURS}-", "ours, ") for name in names]
    lines = [f"| cell | workload | {' | '.join(titles)} |", f"|---|---|{'--:|' * len(names)}"]
    for cell, found in cells.items():
        for name, _, rows in found:
            shown = [f"{times(rows, ends[row], row):.2f}" if row in rows else "" for row in names]
            if any(shown):
                lines.append(f"| {families.title(cell)} | {name} | {' | '.join(shown)} |")
    return "\n".join(lines)


def planned(row: dict[str, Any]) -> float:
    """MiB of temporaries in the compiled step, on all devices."""
    return row["temporary_bytes"] / 2**20


def population() -> str:
    """Eight seeds together beside one alone on one core."""
    lines = [
        f"| workload | one seed, one core: ms per step | {SEEDS} seeds: ms per step | gain |",
        "|---|--:|--:|--:|",
    ]
    for name, _, rows in workloads("population"):
        alone, together = milliseconds(rows[ALONE]), milliseconds(rows[POPULATION])
        gain = SEEDS * alone / together
        lines.append(f"| {name} | {alone:.1f} | {together:.1f} | {gain:.2f} |")
    return "\n".join([*lines, "", _made(load("population"))])


def long() -> str:
    """Long sequences, recomputed in segments: time per step, and memory."""
    lines = [
        "| T | ms per update | µs per time step | planned: MiB | formula: MiB | process: MiB |",
        "|--:|--:|--:|--:|--:|--:|",
    ]
    for found in load("long")["results"]:
        work, row = _work(found), found["contenders"][f"{OURS}-recomputed"]
        update, taken = milliseconds(row), row["taken"]
        by_formula = taken["devices"] * predicted(found["cell"], work, taken) / 2**20
        lines.append(
            f"| {work.time:,} | {update:.0f} | {1e3 * update / work.time:.1f} "
            f"| {planned(row):.0f} | {by_formula:.0f} | {row['peak_bytes'] / 2**20:.0f} |"
        )
    return "\n".join([*lines, "", _made(load("long"))])


def first() -> str:
    """How long the first metric takes."""
    found = json.loads(startup.RESULTS.read_text())
    lines = ["| compilation cache | seconds: median (least..most) |", "|---|--:|"]
    for name, seconds in found["seconds"].items():
        middle = statistics.median(seconds)
        lines.append(f"| {name} | {middle:.1f} ({min(seconds):.1f}..{max(seconds):.1f}) |")
    return "\n".join([*lines, "", f"Measured {len(seconds)} times in turn: {_made(found)}"])


def linear() -> str:
    """Linear cells: how much faster many steps at once are than one after the other."""
    found = json.loads(linear_cells.RESULTS.read_text())
    lines = [
        "| cell | batch | units | T | scan, ms | associative | chunked |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for work in found["works"]:
        one = statistics.median(work["scan"])
        times = (
            statistics.median(a / b for a, b in zip(work["scan"], work[way], strict=True))
            for way in ("associative", "chunked")
        )
        lines.append(
            f"| {CELLS[work['cell']].TITLE} | {work['batch']} | {work['units']} "
            f"| {work['length']:,} | {1e3 * one:.2f} | {' | '.join(f'{t:.2f}' for t in times)} |"
        )
    return "\n".join([*lines, "", f"Measured on one core: {_made(found)}"])


def parts() -> dict[str, str]:
    """The tables of docs/performance.md."""
    tables = (sizes, versus, derived, foreign, paths, population, formula, long, linear, first)
    return {table.__name__: table() for table in tables}


def _made(found: dict[str, Any]) -> str:
    made = found["environment"]
    return (
        f"`{made['command']}` at commit {made['commit'][:8]}, on {made['processor']}, "
        f"{pages.made_with(made)}."
    )


def draw() -> None:
    """Time over the floor with a GRU, by workload: dots are medians, lines the range of turns.

    An open dot is a library at the best of its settings.
    """
    names = ("floor", OURS, *PEERS)[::-1]
    figure, axes = style.panels((9.6, 2.9), len(WORKLOADS), sharey=True)
    for axis, (name, work, rows) in zip(axes, workloads(timed()[0]), strict=True):
        for place, peer in enumerate(names):
            if peer not in rows:
                continue
            least = floor(rows)
            shown = least if peer == "floor" else peer
            turns = [1e3 * second / milliseconds(rows[least]) for second in rows[shown]["seconds"]]
            color = style.INK if peer == OURS else "0.45"
            axis.plot([min(turns), max(turns)], [place, place], color=color, lw=1.5)
            axis.plot(statistics.median(turns), place, "o", color=color, ms=6)
            if (best := at_best(rows, shown)) != shown:
                axis.plot(times(rows, best, least), place, "o", color=color, ms=6, mfc="white")
        axis.axvline(1, color="0.8", lw=1, zorder=0)
        axis.set_title(f"{name}\n{'/'.join(map(str, vars(work).values()))}", fontsize=9)
        axis.set_xlim(0, None)
    axes[0].set_yticks(range(len(names)), names)
    figure.supxlabel("time of a training step / that of its matrix products alone", fontsize=10)
    write_bytes(FIGURES / "speed.png", style.saved(figure))
