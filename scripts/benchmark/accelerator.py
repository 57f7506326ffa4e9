"""All that a GPU or TPU is to be asked: python -m scripts.benchmark.accelerator

Times the ways to run linear cells over time, and training steps with every gradient that there is,
with steps unrolled and in bfloat16, beside Flax's and PyTorch's (cuDNN's, on a GPU): on these the
choices of `auto` rest. Writes results/accelerator.json as it goes on; `python -m scripts.paper`
then shows it on docs/performance.md.
"""

import os
import sys
import time

import jax

from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_json
from experiments.system.memory import SHARED
from gru_jax import CELLS, GRUCell, LSTMCell
from scripts.benchmark import linear
from scripts.benchmark.__main__ import show, surroundings
from scripts.benchmark.entrants import OURS, WORKLOADS
from scripts.benchmark.turns import Measured, measure
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "accelerator.json"
OTHERS = (
    *("gru_jax-plain", "gru_jax-unroll-4", "gru_jax-unroll-16", "gru_jax-batched"),
    *("gru_jax-recomputed", "gru_jax-bfloat16", "flax.nnx-chunk", "torch", "floor"),
)
FEWER = ("gru_jax-plain", "flax.nnx-chunk", "torch", "floor")
NAMES = {made: name for name, made in CELLS.items()}
CONTENDERS = {NAMES[GRUCell]: (OURS, *OTHERS), NAMES[LSTMCell]: (OURS, *FEWER)}
# Of the linear cells' works, those for which an accelerator is there.
WORKS = [work for work in linear.WORKS if work[1] == 32 and work[2] == 2000]
REPEATS, SECONDS = 3, 0.3


def main() -> int:
    Parser(__doc__).parse_args()
    for name, value in SHARED.items():
        os.environ.setdefault(name, value)
    if jax.devices()[0].platform == "cpu":
        raise RunError("JAX finds no accelerator here: jax.devices() are CPUs")
    found: list[Measured] = []
    works: list[Measured] = []
    began = time.perf_counter()

    def keep() -> None:
        """Writes what there is so far, since time on such a machine may be short."""
        told = {"environment": surroundings(found), "seconds": time.perf_counter() - began}
        write_json(RESULTS, {"results": found, "works": works} | told)

    for row in linear.rows(WORKS):
        works.append(row)
        keep()
    for cell, contenders in CONTENDERS.items():
        for name, work in WORKLOADS.items():
            rows = measure(cell, name, list(contenders), REPEATS, SECONDS, ahead=True)
            found.append({"cell": cell, "workload": name, **vars(work), "contenders": rows})
            show(found[-1])
            keep()
    return 0


if __name__ == "__main__":
    sys.exit(guarded(main))
