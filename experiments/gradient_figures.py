"""Figures of the measurements of experiments.gradients."""

import io
import math
from typing import Any

import matplotlib

from experiments import families
from experiments.measurements import Measured

matplotlib.use("Agg")
from matplotlib import pyplot as plt

FLOOR = 1e-16  # below it a curve leaves the figure
# Dark and light in turn, each with its own dashes, so that they can be told apart in grey.
LINES: list[dict[str, Any]] = [
    {"color": "#1f3b5c", "ls": "-"},
    {"color": "#d5702c", "ls": (0, (6, 2))},
    {"color": "#2e8b6f", "ls": (0, (2, 1))},
    {"color": "#8a4f9e", "ls": (0, (6, 1, 1, 1))},
    {"color": "#5b9bd5", "ls": (0, (4, 1, 1, 1, 1, 1))},
    {"color": "#7f7f7f", "ls": (0, (1, 1.2))},
]
CARRIED = r"gradient carried back, $|v^\top \partial h_T / \partial h_{T-n}|$"
LOSS = r"loss gradient, $|\partial L / \partial h_{T-n}|$ over that at $n = 0$"
OWN = r"half-life of $|\partial h_{T,i} / \partial h_{T-n,i}|$ (steps)"
Group = dict[str, Measured]


def figures(found: dict[str, Group]) -> dict[str, bytes]:
    """All figures that the measurements allow, as PNG data by name."""
    initial = found["initial"]
    drawn = {
        "transport": _families(initial, "transport", CARRIED),
        "loss": _families(initial, "loss", LOSS),
        "weights": _families(initial, "weights", "share in the weights' gradient"),
        "exponents": _exponents(initial),
        "gates": _gates(initial),
    }
    if "after" in found:
        drawn["trained"] = _trained(found["before"], found["after"])
        drawn["trained_gates"] = _gates(found["after"])
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _families(group: Group, curve: str, label: str) -> bytes:
    """One panel per kind of cell, with a line and quartiles for each of its starts."""
    cells: dict[str, Group] = {}
    for name, measured in group.items():
        cells.setdefault(measured["cell"], {})[name] = measured
    figure, axes = plt.subplots(
        1, len(cells), figsize=(4.1 * len(cells), 4.4), sharey=True, layout="constrained"
    )
    top = 1.0
    for axis, (cell, members) in zip(_list(axes), cells.items(), strict=True):
        bound: str | None = "bound"  # only one entry in the legend
        for line, (name, measured) in zip(_lines(len(members)), members.items(), strict=True):
            values = measured[curve]
            lags = measured["lags"][: len(values["median"])]
            _curve(axis, lags, values, name.removeprefix(f"{cell}-").replace("-", " "), line)
            top = max(top, *(math.exp(min(v, 60)) for v in values["high"] if v is not None))
            if curve == "transport" and "bound" in measured:
                limit = [_power(v) for v in measured["bound"]["median"]]
                axis.plot(lags, limit, color=line["color"], lw=0.8, label=bound)
                bound = None
        axis.set(yscale="log", xlim=(0, lags[-1]), xlabel="lag n (steps)")
        axis.set_title(families.title(cell), loc="left", fontsize=11)
        axis.legend(
            frameon=False,
            fontsize=9,
            handlelength=3.2,
            ncols=3,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
        )
        _plain(axis)
    _list(axes)[0].set(ylabel=label, ylim=(FLOOR, 10 * min(top, 1e6)))
    return png(figure)


def _curve(axis: Any, lags: list[int], values: Any, label: str, line: dict[str, Any]) -> None:
    low, median, high = ([_power(v) for v in values[name]] for name in ("low", "median", "high"))
    axis.plot(lags, median, lw=1.9, label=label, **line)
    axis.fill_between(lags, low, high, color=line["color"], alpha=0.18, lw=0)


def _exponents(group: Group) -> bytes:
    """The largest Lyapunov exponent with its quartiles, and the half-life that it implies."""
    figure, axis = plt.subplots(figsize=(8, 0.34 * len(group) + 1.3), layout="constrained")
    names = list(group)
    for place, name in enumerate(names):
        values = [group[name]["exponents"][part][0] for part in ("low", "median", "high")]
        low, median, high = (math.nan if value is None else value for value in values)
        axis.plot([low, high], [place, place], color="#8fa3b8", lw=5, solid_capstyle="butt")
        axis.plot(median, place, "|", color="#1f3b5c", ms=11, mew=2)
    axis.axvline(0, color="#b03a2e", lw=0.9)
    axis.set_yticks(range(len(names)), [name.replace("-", " ") for name in names])
    axis.set(xlabel="largest Lyapunov exponent (nats a step)")
    axis.set_xscale("symlog", linthresh=1e-3)
    axis.invert_yaxis()
    _plain(axis)
    above = axis.twiny()
    above.set_xscale("symlog", linthresh=1e-3)
    above.set_xlim(axis.get_xlim())
    lives = (1, 10, 100)
    above.set_xticks([-math.log(2) / life for life in lives], [str(life) for life in lives])
    above.set_xlabel("half-life (steps)", x=0.25)
    above.spines[["left", "right"]].set_visible(False)
    return png(figure)


def _gates(group: Group) -> bytes | None:
    """Each unit's half-life as predicted by its gate, against the measured one."""
    gated = {name: measured for name, measured in group.items() if "gates" in measured}
    if not gated:
        return None
    figure, axes = _grid(len(gated), 2.9, 2.9)
    for axis, (name, measured) in zip(axes, gated.items(), strict=True):
        gates, longest = measured["gates"], measured["lags"][-1]
        # None means infinite; a unit that keeps nothing has a half-life of 0.
        within = lambda life, longest=longest: (
            longest if life is None else min(max(life, 0.1), longest)
        )
        (left, x, right), (below, y, above) = (
            [[within(life) for life in units[part]] for part in ("low", "median", "high")]
            for units in (gates["units"]["gate"], gates["units"]["own"])
        )
        spread: dict[str, Any] = {"color": "#1f3b5c", "alpha": 0.25, "lw": 0.6}
        axis.hlines(y, left, right, **spread)
        axis.vlines(x, below, above, **spread)
        axis.plot(x, y, ".", color="#1f3b5c", ms=3, alpha=0.5)
        axis.plot([0.2, longest], [0.2, longest], color="#b03a2e", lw=0.8)
        axis.set(xscale="log", yscale="log")
        axis.set_title(name.replace("-", " "), loc="left", fontsize=10)
        _plain(axis)
    figure.supxlabel("half-life by the gate (steps)", fontsize=10)
    figure.supylabel(OWN, fontsize=10)
    return png(figure)


def _trained(before: Group, after: Group) -> bytes:
    """Transport before and after training, one panel per run."""
    figure, axes = _grid(len(after), 3.0, 2.6)
    styles: dict[str, dict[str, Any]] = {
        "before training": {"color": "#8f8f8f", "ls": (0, (4, 1.5))},
        "after": {"color": "#1f3b5c", "ls": "-"},
    }
    for axis, name in zip(axes, after, strict=True):
        for (label, line), group in zip(styles.items(), (before, after), strict=True):
            measured = group[name]
            _curve(axis, measured["lags"], measured["transport"], label, line)
        axis.set(yscale="log", ylim=(1e-12, 1e3), xlim=(0, measured["lags"][-1]))
        axis.set_title(name.replace("-", " "), loc="left", fontsize=10)
        _plain(axis)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=10,
    )
    figure.supxlabel("lag n (steps)", fontsize=10)
    figure.supylabel(CARRIED, fontsize=10)
    return png(figure)


def _grid(count: int, width: float, height: float) -> tuple[Any, list[Any]]:
    """This many panels, four in a row, with shared axes."""
    columns = min(4, count)
    rows = -(-count // columns)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(width * columns, height * rows),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat[count:]:
        axis.set_visible(False)
    return figure, list(axes.flat[:count])


def _lines(count: int) -> list[dict[str, Any]]:
    return [LINES[index % len(LINES)] for index in range(count)]


def _list(axes: Any) -> list[Any]:
    return list(axes.flat) if hasattr(axes, "flat") else [axes]


def _power(log: float | None) -> float:
    """The number with this logarithm, but no smaller than what a figure can show."""
    return FLOOR / 1e4 if log is None else math.exp(min(max(log, math.log(FLOOR / 1e4)), 300))


def _plain(axis: Any) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", color="#e6eaee", lw=0.6)


def png(figure: Any) -> bytes:
    """The figure as PNG data; closes it."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=140)
    plt.close(figure)
    return drawn.getvalue()
