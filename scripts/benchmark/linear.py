"""Ways to run a linear cell over time, side by side: python -m scripts.benchmark.linear

Times the gradient of every way that `RNN` has, on one core, in turn and several times over, for
cells, widths and lengths that differ. Writes results/linear.json.
"""

import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from gru_jax import CELLS, RNN
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "linear.json"
WAYS = ("scan", "associative", "chunked")
Sizes = tuple[str, int, int, int]
WORKS: list[Sizes] = [
    (cell, batch, length, units)
    for cell, made in CELLS.items()
    if made.LINEAR
    for batch, units in ((1, 16), (1, 256), (8, 32), (32, 32), (32, 128))
    for length in (100, 2000)
]
INPUTS, TURNS, SECONDS = 2, 9, 0.1  # of one turn, roughly


def main() -> int:
    Parser(__doc__).parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    write_json(
        RESULTS, {"works": list(rows(WORKS)), "inputs": INPUTS, "environment": environment()}
    )
    return 0


def rows(works: list[Sizes]) -> Iterator[dict[str, Any]]:
    """Each of the works with the seconds of each way, which are also printed."""
    for work in works:
        seconds = measure(*work)
        cell, batch, length, units = work
        told = ", ".join(f"{way} {1e3 * np.median(seconds[way]):.2f} ms" for way in WAYS)
        print(f"{cell}, {batch} x {length}, {units} units: {told}", flush=True)
        yield {"cell": cell, "batch": batch, "length": length, "units": units, **seconds}


def measure(cell: str, batch: int, length: int, units: int) -> dict[str, list[float]]:
    """Seconds for one gradient, by way and turn."""
    made = CELLS[cell](INPUTS, units, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (batch, length, INPUTS))
    runs = {way: _repeated(RNN(made, recurrence=way), x) for way in WAYS}
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for run in runs.values():
        run(1)  # compiles it
    began = time.perf_counter()
    runs[WAYS[0]](3)
    repeats = max(3, round(SECONDS / ((time.perf_counter() - began) / 3)))
    for _ in range(TURNS):
        for way, run in runs.items():
            began = time.perf_counter()
            run(repeats)
            found[way].append((time.perf_counter() - began) / repeats)
    return found


def _repeated(rnn: RNN, x: jax.Array) -> Any:
    """A function that takes so many gradients, one after the other, in one program."""
    graph, params = nnx.split(rnn)
    loss = lambda params: jnp.sum(jnp.asarray(nnx.merge(graph, params)(x)) ** 2)

    @jax.jit
    def run(params: Any, repeats: Any) -> Any:
        moved = lambda p, d: p - 1e-9 * d  # so that none of them can be left out
        step = lambda _, params: jax.tree.map(moved, params, jax.grad(loss)(params))
        return jax.lax.fori_loop(0, repeats, step, params)

    return lambda repeats: jax.block_until_ready(run(params, repeats))


if __name__ == "__main__":
    sys.exit(guarded(main))
