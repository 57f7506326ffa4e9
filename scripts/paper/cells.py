"""docs/cells.md: every cell of the library, from its class: equations, source, parameters."""

import dataclasses
import inspect
import math
import re
import sys
from typing import Any

import numpy as np
from flax import nnx

from experiments.stats.outcomes import Outcomes
from gru_jax import CELLS, Cell, GRUCell, LSTMCell, VanillaCell, parameter_count
from gru_jax.cells import LayerNormGRUCell, MGUCell, MinGRUCell, SLSTMCell
from scripts.equations import drawings
from scripts.equations.latex import block, latex
from scripts.paper import results
from scripts.paths import ROOT

TERMS = ("D H", "H^2", "H", "")
SIZES = ((1, 1), (2, 3), (3, 7), (5, 4), (4, 9))
# What code of others was found to do, by cell or by the name of one of SETTINGS.
OTHERS: dict[type[Cell] | str, str] = {
    LayerNormGRUCell: 'a norm of the sum, as in Dreamer, is another model: `norm="sum"`',
    MGUCell: (
        "`linen.MGUCell` of Flax keeps where the paper's gate writes, and resets after the "
        "product; no change of signs maps one to the other"
    ),
    MinGRUCell: (
        "the authors also have it in logarithms, with a candidate that cannot be negative: "
        '`activation="positive"`, without logarithms'
    ),
    SLSTMCell: (
        "the authors' plain code decides for a whole batch at once whether a step is the first: "
        "0 / 0 after a reset of some of its examples"
    ),
    "GRU1": "one public version shares one layer between both gates, in GRU1 to GRU3",
    "UR-LSTM": "state-spaces/s4 has the refining gate without -b",
}


@dataclasses.dataclass(frozen=True)
class Setting:
    """A published cell that is a cell of the library with some options."""

    cell: type[Cell]
    options: dict[str, Any]
    source: str

    def code(self) -> str:
        """What makes it."""
        options = ", ".join(
            f'{name}="{value}"' if isinstance(value, str) else f"{name}={value}"
            for name, value in self.options.items()
        )
        return f"{self.cell.__name__}({options})"


CHUNG = {"reset_after": False, "update_gate": "write"}
GREFF = "Greff et al. 2017, there with peepholes"
SETTINGS = {
    "GRU of Cho": Setting(GRUCell, {"reset_after": False}, "Cho et al. 2014, v3"),
    "GRU of Chung": Setting(GRUCell, CHUNG, "Chung et al. 2014"),
    "GRU1": Setting(GRUCell, {**CHUNG, "reset": "state", "update": "state"}, "Dey & Salem 2017"),
    "GRU2": Setting(
        GRUCell,
        {**CHUNG, "reset": "state", "update": "state", "bias": "candidate"},
        "Dey & Salem 2017",
    ),
    "GRU3": Setting(
        GRUCell, {**CHUNG, "reset": "constant", "update": "constant"}, "Dey & Salem 2017"
    ),
    "MUT2": Setting(
        GRUCell, CHUNG, "Jozefowicz et al. 2015, with a kernel for x in the reset gate"
    ),
    "UGRNN": Setting(GRUCell, {"reset": "open", "keeping_bias": 1.0}, "Collins et al. 2017"),
    "UR-GRU": Setting(GRUCell, {"update": "refined"}, "Gu et al. 2020"),
    "Dreamer's GRU": Setting(
        LayerNormGRUCell, {"norm": "sum", "keeping_bias": 1.0}, "Hafner et al. 2021"
    ),
    "LSTM of 1997": Setting(LSTMCell, {"forget": "keep"}, "Hochreiter & Schmidhuber 1997"),
    "LSTM with peepholes": Setting(LSTMCell, {"peepholes": "all"}, "Gers & Schmidhuber 2000"),
    "LSTM with coupled gates": Setting(LSTMCell, {"input": "coupled"}, GREFF),
    "LSTM without output gate": Setting(LSTMCell, {"output": "open"}, GREFF),
    "UR-LSTM": Setting(LSTMCell, {"input": "coupled", "forget": "refined"}, "Gu et al. 2020"),
    "IRNN": Setting(
        VanillaCell, {"activation": "relu", "recurrent_start": "identity"}, "Le et al. 2015"
    ),
}


def table() -> str:
    """One row for each cell."""
    lines = [
        "| cell | `config.model.cell` | class | states | gate that keeps | parameters "
        "| what others do differently |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, cell in CELLS.items():
        lines.append(
            f"| {cell.TITLE} | `{name}` | `{cell.__name__}` | {', '.join(cell.STATES)} "
            f"| {cell.KEEPING_GATE or 'none'} | {parameters(cell)} | {OTHERS.get(cell, '')} |"
        )
    return "\n".join(lines)


def settings() -> str:
    """One row for each published cell that is a setting of another."""
    lines = [
        "| cell | setting | source | parameters | what others do differently |",
        "|---|---|---|---|---|",
    ]
    for name, setting in SETTINGS.items():
        size, source = parameters(setting.cell, setting.options), linked(setting.source)
        lines.append(
            f"| {name} | `{setting.code()}` | {source} | {size} | {OTHERS.get(name, '')} |"
        )
    return "\n".join(lines)


def equations() -> str:
    """For each cell its equations and their drawing, source and options, and what it learned."""
    return "\n\n".join(f"{_section(name, cell)}\n\n{learned(name)}" for name, cell in CELLS.items())


def choice() -> str:
    """The cells by what they learned, so that a reader can choose; the soonest to add first."""
    learns = {name: tuple(2 * each.solved >= each.seeds for each in _zoo(name)) for name in CELLS}
    soonest = sorted(CELLS, key=lambda name: _zoo(name)[0].median_steps or math.inf)
    named = lambda some: ", ".join(CELLS[name].TITLE for name in soonest if name in some)
    some = lambda *wanted: named({name for name, found in learns.items() if found == wanted})
    assert not some(False, True), "a cell that tracks states but does not add has no line here"
    return (
        f"- **Both to remember over a long time and to track a state**: {some(True, True)}.\n"
        f"- **To remember over a long time**: also {some(True, False)}. They add, but do not "
        "track sums.\n"
        "- **Many steps at once, without a loop over time**: "
        f"{named({name for name, cell in CELLS.items() if cell.LINEAR})}, see "
        "[linear cells](performance.md#linear-cells-many-steps-at-once).\n"
        f"- Neither task within this budget, and with the usual start: {some(False, False)}."
    )


def learned(name: str) -> str:
    """What a cell with its usual start did on both tasks of the sweep "zoo"."""
    tasks = ("adding over 200 steps", "sums modulo 5")
    told = [
        f"{each.solved}/{each.seeds} {task}"
        + ("" if each.median_steps is None else f" (median {each.steps} updates)")
        for task, each in zip(tasks, _zoo(name), strict=True)
    ]
    return f"Seeds that solve, [with its usual start](#what-they-learn): {', '.join(told)}."


def _zoo(name: str) -> tuple[Outcomes, Outcomes]:
    """What became of a cell in the sweep "zoo": on adding, and on sums."""
    chosen = results.best(results.load("zoo"))
    found = {task: each for ((task, _), cell), each in chosen.items() if cell == name}
    return found["adding"].outcomes, found["sum5"].outcomes


def parameters(cell: type[Cell], options: dict[str, Any] | None = None) -> str:
    """The number of parameters as a polynomial in D and H.

    >>> parameters(VanillaCell)
    'D H + H^2 + H'
    """
    counts = [_count(cell, *sizes, **(options or {})) for sizes in SIZES]
    terms = np.array([(d * h, h * h, h, 1) for d, h in SIZES])
    found, _, rank, _ = np.linalg.lstsq(terms, np.array(counts, float))
    assert rank == len(TERMS)
    halves = np.round(2 * found).astype(int)
    assert np.array_equal(terms @ halves, 2 * np.array(counts)), f"{cell.__name__}: no polynomial"
    words = [
        f"{'-' if half < 0 else '+'} {_factor(abs(half), name)}"
        for half, name in zip(halves, TERMS, strict=True)
        if half
    ]
    return " ".join(words).removeprefix("+ ")


def _factor(half: int, name: str) -> str:
    """So many halves of a term."""
    if half % 2:
        return f"{half if half > 1 else ''} {name} / 2".strip()
    return f"{half // 2 if half > 2 or not name else ''} {name}".strip()


def _count(cell: type[Cell], inputs: int, hidden: int, **options: Any) -> int:
    make = lambda: cell(inputs, hidden, rngs=nnx.Rngs(0), **options)
    return parameter_count(nnx.eval_shape(make))


def linked(text: str) -> str:
    """The text, where each citation of a paper that docs/papers.md links leads to it.

    >>> linked("Elman (1990), in part")
    '[Elman (1990)](https://doi.org/10.1207/s15516709cog1402_1), in part'
    """
    rows = r"^\| (.+) (\d{4}) \| \[.+?\]\((\S+)\) \|"
    papers = re.findall(rows, (ROOT / "docs" / "papers.md").read_text(), re.MULTILINE)
    for authors, year, place in papers:
        cited = rf"(?<!\w)(?:van der )?{re.escape(authors)} (?:{year}|\({year}\))"
        text = re.sub(cited, rf"[\g<0>]({place})", text)
    return text


def _section(name: str, cell: type[Cell]) -> str:
    docstring = cell.__doc__ or ""
    paragraphs = inspect.cleandoc(docstring).split("\n\n")
    summary = " ".join(paragraphs[0].split())
    source = next((each for each in paragraphs if each.startswith("Source: ")), None)
    where = sys.modules[cell.__module__].__doc__ or ""
    told = " ".join((source or f"Source: {where.strip().splitlines()[0]}").split())
    options = ", ".join(f"`{name}`" for name in cell.options()) or "none"
    drawn = f"![One step of the {cell.TITLE}: {drawings.described(cell)}](figures/cells/{name}.svg)"
    return (
        f"### {cell.TITLE}\n\n{summary}\n\n```math\n{latex(block(docstring))}\n```\n\n"
        f"{drawn}\n\n{linked(told)}\n\nOptions of its own: {options}."
    )
