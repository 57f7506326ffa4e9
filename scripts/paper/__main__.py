"""Writes the generated parts of README, docs and the configs' docstrings from results/.

python -m scripts.paper            write them, and the figures
python -m scripts.paper --check    exit with 1 if a page, or a drawing of a cell, is another
"""

import functools
import sys
from collections.abc import Callable

from experiments.system.commandline import Parser
from experiments.system.files import write_text
from gru_jax import CELLS
from scripts.equations import drawings
from scripts.paper import (
    aggregates,
    cells,
    characters,
    cogscale,
    cogscale_starts,
    cogscale_torch,
    gradients,
    horizons,
    packing,
    pages,
    performance,
    published,
    reach,
    reliability,
    results,
    sentiment,
    tasks,
    verdict_gates,
    verdicts,
)
from scripts.paths import ROOT

TRANSCRIPT = ROOT / "results" / "make_train.txt"  # what `make train` printed
PARTS: dict[str, Callable[[], dict[str, str]]] = {
    "README.md": lambda: {
        "reach": reach.headline(),
        "speed": performance.headline(),
        "make train": transcript(),
        "times": reliability.times(),
    },
    "CONTRIBUTING.md": lambda: {"times": reliability.times()},
    "docs/ablations.md": lambda: {
        **results.ablations(),
        **{f"{sweep} overall": aggregates.table(sweep) for sweep in results.ABLATIONS},
    },
    "docs/cells.md": lambda: {
        "cells": cells.table(),
        "choice": cells.choice(),
        "settings": cells.settings(),
        "zoo": results.across("zoo"),
        "equations": cells.equations(),
    },
    "docs/cogscale.md": lambda: {
        "scores": cogscale.table(),
        "torch": cogscale_torch.table(),
        "starts": cogscale_starts.table(),
    },
    "docs/gradients.md": lambda: {
        "initial": gradients.initial(),
        "trained": gradients.trained(),
        "units": gradients.units(),
        "horizons": horizons.table(),
    },
    "docs/performance.md": lambda: performance.parts() | {"precision": results.table("precision")},
    "docs/published.md": lambda: {"published": published.whole()},
    "docs/reach.md": reach.parts,
    "docs/reliability.md": lambda: {"tried": reliability.table()},
    "docs/sweeps.md": lambda: {"packing": packing.table()},
    "docs/tasks.md": lambda: {
        "defaults": tasks.table(),
        "lengths": tasks.lengths(),
        "cells": results.table("tasks"),
        "gates": tasks.gates(),
    },
    "docs/text.md": lambda: {
        "sentiment": sentiment.table(),
        "verdicts": verdicts.table(),
        "verdict gates": verdict_gates.table(),
        "characters": characters.table(),
    },
}
# Files that are generated from the first line to the last.
WHOLE: dict[str, Callable[[], str]] = {
    "docs/faults.md": reliability.faults,
    **{
        f"docs/figures/cells/{name}.svg": functools.partial(drawings.drawing, cell)
        for name, cell in CELLS.items()
    },
}
CONFIGS = {f"configs/{name}.py": name for name in tasks.CONFIGS}


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        found = stale()
        for page in found:
            print(f"{page} differs from results/: run python -m scripts.paper")
        return int(bool(found))
    for page in written():
        write_text(ROOT / page, fresh(page))
    results.draw()
    gradients.draw()
    horizons.draw()
    reach.draw()
    tasks.draw()
    verdicts.draw()
    cogscale_starts.draw()
    published.draw()
    performance.draw()
    return 0


def written() -> list[str]:
    """The pages and configs that show what results/ holds, and the drawings of cells."""
    return [*PARTS, *CONFIGS, *WHOLE]


def stale() -> list[str]:
    """Those of them whose generated parts differ from results/ and from the code."""
    shown = lambda page: (ROOT / page).read_text() if (ROOT / page).exists() else ""
    return [page for page in written() if fresh(page) != shown(page)]


def fresh(page: str) -> str:
    """The text of a page with new generated parts, or of a config with a new docstring."""
    if page in WHOLE:
        return WHOLE[page]()
    text = (ROOT / page).read_text()
    if page in CONFIGS:
        return tasks.docstring(CONFIGS[page], text)
    return pages.fill(text, PARTS[page]())


def transcript() -> str:
    return f"```text\n{TRANSCRIPT.read_text()}```"


if __name__ == "__main__":
    sys.exit(main())
