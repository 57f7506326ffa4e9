"""What the programs that try generated cases have in common."""

import collections
import functools
import json
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import strategies as st

from experiments.runs.environment import environment
from experiments.system import commandline
from experiments.system.files import write_json
from gru_jax import fields

PIECE = 2500  # cases in one process, because JAX keeps traces as long as a process lives

Outcomes = collections.Counter[str]


def main(
    description: str | None, fuzz: Callable[[int, int], Outcomes], file: Path, cases: int
) -> int:
    """Tries as many cases as the command line says, and writes counts of the outcomes.

    Args:
      fuzz: tries a number of cases with a seed, and counts their outcomes.
      cases: how many by default.
    """
    parser = commandline.Parser(description)
    parser.add_argument("--cases", type=int, default=cases, help="how many to try")
    parser.add_argument("--lanes", type=int, default=len(os.sched_getaffinity(0)))
    chosen = parser.parse_args()
    fields.integer("--cases", chosen.cases, 1)
    fields.integer("--lanes", chosen.lanes, 1)
    began = time.monotonic()
    counts: Outcomes = collections.Counter()
    pieces = [
        (min(PIECE, chosen.cases - at), seed)
        for seed, at in enumerate(range(0, chosen.cases, PIECE))
    ]
    with multiprocessing.get_context("spawn").Pool(chosen.lanes, maxtasksperchild=1) as pool:
        for found in pool.imap_unordered(functools.partial(_piece, fuzz), pieces):
            counts += found
            print(f"{sum(counts.values()):,} of {fields.counted(chosen.cases, 'case')}", flush=True)
    result = {"cases": sum(counts.values()), **dict(sorted(counts.items()))}
    print(json.dumps(result, indent=1))
    minutes = round((time.monotonic() - began) / 60, 1)
    write_json(file, {**result, "minutes": minutes, "environment": environment()})
    return 0


def _piece(fuzz: Callable[[int, int], Outcomes], piece: tuple[int, int]) -> Outcomes:
    return fuzz(*piece)


def outcomes(
    strategy: st.SearchStrategy[Any], attempt: Callable[[Any], str], cases: int, seed: int
) -> Outcomes:
    """Tries this many cases and counts their outcomes.

    Args:
      attempt: tries a case and names its outcome.

    Raises:
      AssertionError: an outcome is not allowed; hypothesis shows the smallest such case.
    """
    counts: Outcomes = collections.Counter()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=[hypothesis.Phase.generate, hypothesis.Phase.shrink],
    )
    @hypothesis.given(strategy)
    def each(case: Any) -> None:
        counts[attempt(case)] += 1

    each()
    return counts
