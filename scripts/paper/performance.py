"""The tables of docs/performance.md and README, and their figure, from what was timed."""

import itertools
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments.figures import families, style
from experiments.system.files import write_bytes
from gru_jax import CELLS
from scripts.benchmark import accelerator
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
ROUNDED = "gru_jax-bfloat16"
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
    lines = []
    for cell in timed():
        for name, _, rows in workloads(cell):
            low, high = (1e3 * end(rows[OURS]["seconds"]) for end in (min, max))
            ours = f"{milliseconds(rows[OURS]):.1f} ({low:.1f}..{high:.1f})"
            over = f"{times(rows, OURS, floor(rows)):.2f}"
            peers = [_against(rows, peer) for peer in PEERS]
            lines.append([families.title(cell), name, ours, over, *peers])
    shown = pages.table(("cell", "workload"), ("ours: ms per step", "x floor", *PEERS), lines)
    return "\n".join([shown, "", *(_made(load(cell)) for cell in timed())])


def headline() -> str:
    """README's sentence, of the first cell."""
    cell = timed()[0]

    def least(setting: Callable[[Rows, str], str]) -> str:
        found = [
            min(times(rows, setting(rows, peer)) for peer in PEERS if peer in rows)
            for *_, rows in workloads(cell)
        ]
        return f"{min(found):.1f} to {max(found):.1f}"

    return (
        f"In the fastest of the other libraries, a whole training step with a "
        f"{families.title(cell)} takes {least(lambda _, peer: peer)} times as long, written as "
        f"documented, and {least(at_best)} times in the fastest way that we found for it, over "
        f"five workloads on {load(cell)['environment']['processor']}: "
        "[docs/performance.md](docs/performance.md)."
    )


def sizes() -> str:
    """The sizes of the workloads."""
    rows = [[name, *map(str, vars(work).values())] for name, work in WORKLOADS.items()]
    return pages.table(["workload"], ("batch", "time", "inputs", "units"), rows)


def paths() -> str:
    """Each way to compute the gradient: time over the floor, and planned memory."""
    lines = []
    for cell in timed():
        for name, _, rows in workloads(cell):
            least = floor(rows)
            found = [f"{OURS}{end}" for end in PATHS.values()]
            shown = [f"{times(rows, row, least):.2f}, {planned(rows[row]):.0f}" for row in found]
            theirs = f"{planned(rows['flax.nnx']):.0f}"
            lines.append([families.title(cell), name, *shown, theirs])
    titles = [f"{path}: x floor, MiB" for path in PATHS]
    return pages.table(("cell", "workload"), (*titles, "flax.nnx: MiB"), lines)


def derived() -> str:
    """The last commit with cells split by hand, beside gradients derived from a step."""
    lines = []
    for cell in timed():
        for name, _, rows in workloads(cell):
            (old,) = (row for row in rows if row.startswith(f"{OURS}@"))
            memory = (f"{planned(rows[row]):.0f}" for row in (old, OURS))
            lines.append([families.title(cell), name, f"{times(rows, old):.2f}", *memory])
    titles = ("time by hand / derived", "by hand: MiB", "derived: MiB")
    return pages.table(("cell", "workload"), titles, lines)


def foreign() -> str:
    """Speed-ups of other libraries' cells, and of a reset before the product, in `scan`."""
    ends = {f"{peer}{IN}": peer for peer in PEERS}
    ends[f"{OURS}-reset-before"] = f"{OURS}-reset-before-plain"
    cells = {cell: workloads(cell) for cell in timed()}
    there = {row for found in cells.values() for _, _, rows in found for row in rows}
    names = [row for row in ends if row in there]
    titles = [name.removesuffix(IN).replace(f"{OURS}-", "ours, ") for name in names]
    lines = []
    for cell, found in cells.items():
        for name, _, rows in found:
            shown = [f"{times(rows, ends[row], row):.2f}" if row in rows else "" for row in names]
            if any(shown):
                lines.append([families.title(cell), name, *shown])
    return pages.table(("cell", "workload"), titles, lines)


def planned(row: dict[str, Any]) -> float:
    """MiB of temporaries in the compiled step, on all devices."""
    return row["temporary_bytes"] / 2**20


def population() -> str:
    """Eight seeds together beside one alone on one core."""
    lines = []
    for name, _, rows in workloads("population"):
        alone, together = milliseconds(rows[ALONE]), milliseconds(rows[POPULATION])
        gain = SEEDS * alone / together
        lines.append([name, f"{alone:.1f}", f"{together:.1f}", f"{gain:.2f}"])
    titles = ("one seed, one core: ms per step", f"{SEEDS} seeds: ms per step", "gain")
    return f"{pages.table(['workload'], titles, lines)}\n\n{_made(load('population'))}"


def long() -> str:
    """Long sequences, recomputed in segments: time per step, and memory."""
    lines = []
    for found in load("long")["results"]:
        work, row = _work(found), found["contenders"][f"{OURS}-recomputed"]
        update, taken = milliseconds(row), row["taken"]
        by_formula = taken["devices"] * predicted(found["cell"], work, taken) / 2**20
        memory = planned(row), by_formula, row["peak_bytes"] / 2**20
        each = f"{1e3 * update / work.time:.1f}"
        lines.append([f"{work.time:,}", f"{update:.0f}", each, *(f"{size:.0f}" for size in memory)])
    titles = ("ms per update", "µs per time step", "planned: MiB", "formula: MiB", "process: MiB")
    return f"{pages.table([], ('T', *titles), lines)}\n\n{_made(load('long'))}"


def first() -> str:
    """How long the first metric takes."""
    found = json.loads(startup.RESULTS.read_text())
    lines = []
    for name, seconds in found["seconds"].items():
        middle = statistics.median(seconds)
        lines.append([name, f"{middle:.1f} ({min(seconds):.1f}..{max(seconds):.1f})"])
    shown = pages.table(["compilation cache"], ["seconds: median (least..most)"], lines)
    return f"{shown}\n\nMeasured {len(seconds)} times in turn: {_made(found)}"


def linear() -> str:
    """Linear cells: how much faster many steps at once are than one after the other."""
    found = json.loads(linear_cells.RESULTS.read_text())
    return f"{_ways(found['works'])}\n\nMeasured on one core: {_made(found)}"


def _ways(works: list[dict[str, Any]]) -> str:
    lines = []
    for work in works:
        title, sizes = CELLS[work["cell"]].TITLE, (work["batch"], work["units"])
        one = f"{1e3 * statistics.median(work['scan']):.2f}"
        times = (
            statistics.median(a / b for a, b in zip(work["scan"], work[way], strict=True))
            for way in ("associative", "chunked")
        )
        found = (*map(str, sizes), f"{work['length']:,}", one, *(f"{t:.2f}" for t in times))
        lines.append([title, *found])
    titles = ("batch", "units", "T", "scan, ms", "associative", "chunked")
    return pages.table(["cell"], titles, lines)


def bfloat16() -> str:
    """Products in bfloat16: how much faster a step is."""
    lines = [
        [name, *(f"{milliseconds(rows[row]):.1f}" for row in (OURS, ROUNDED)), ratio]
        for name, _, rows in workloads("bfloat16")
        for ratio in [f"{times(rows, OURS, ROUNDED):.2f}"]
    ]
    titles = ("float32: ms per step", "bfloat16: ms per step", "times as fast")
    return f"{pages.table(['workload'], titles, lines)}\n\n{_made(load('bfloat16'))}"


def accelerated() -> str:
    """What was measured on an accelerator, if one was at hand."""
    if not accelerator.RESULTS.exists():
        return "Nothing here was measured on an accelerator, because none was available."
    found = json.loads(accelerator.RESULTS.read_text())
    everything = [each["contenders"] for each in found["results"]]
    names = [*dict.fromkeys(itertools.chain.from_iterable(everything))]
    titles = ["auto" if name == OURS else name.removeprefix(f"{OURS}-") for name in names]
    shown = lambda row: f"{milliseconds(row):.1f}" if row else ""
    lines = [
        [families.title(each["cell"]), each["workload"], *(shown(rows.get(n)) for n in names)]
        for each, rows in zip(found["results"], everything, strict=True)
    ]
    steps = pages.table(("cell", "workload"), titles, lines)
    made = f"Measured in {found['seconds'] / 60:.0f} minutes: {_made(found)}"
    return "\n\n".join([steps, _ways(found["works"]), made])


def parts() -> dict[str, str]:
    """The tables of docs/performance.md."""
    tables = [sizes, versus, derived, foreign, paths, population, formula, long, linear]
    tables += [bfloat16, first, accelerated]
    return {table.__name__: table() for table in tables}


def _made(found: dict[str, Any]) -> str:
    made = found["environment"]
    where = made["processor"] if made["device"] == "cpu" else made["device"]
    return (
        f"`{made['command']}` at commit {made['commit'][:8]}, on {where}, {pages.made_with(made)}."
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
