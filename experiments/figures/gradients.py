"""Figures of the measurements of experiments.gradients."""

import math
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from experiments.figures import families, style
from experiments.measurements.gradients import Measured

FLOOR = 1e-16  # below it a curve leaves the figure
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
    figure, axes = style.panels((4.1 * len(cells), 4.4), len(cells), sharey=True)
    top, bottom = 1.0, 1.0
    for axis, (cell, members) in zip(axes, cells.items(), strict=True):
        bound: str | None = "bound"  # only one entry in the legend
        for line, (name, measured) in zip(style.lines(len(members)), members.items(), strict=True):
            values = measured[curve]
            lags = measured["lags"][: len(values["median"])]
            _curve(axis, lags, values, name.removeprefix(f"{cell}-").replace("-", " "), line)
            top = max(top, *(math.exp(min(v, 60)) for v in values["high"] if v is not None))
            bottom = min(bottom, *(_power(v) for v in values["median"] if v is not None))
            if curve == "transport" and "bound" in measured:
                limit = [_power(v) for v in measured["bound"]["median"]]
                axis.plot(lags, limit, color=line["color"], lw=0.8, label=bound)
                bound = None
        axis.set(yscale="log", xlim=(0, lags[-1]), xlabel="lag n (steps)")
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axis.set_title(families.title(cell), loc="left", fontsize=11)
        axis.legend(
            frameon=False,
            fontsize=9,
            handlelength=3.2,
            ncols=3,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.13),
        )
        style.ruled(axis)
    least = 10.0 ** math.floor(math.log10(bottom))
    axes[0].set(ylabel=label, ylim=(max(FLOOR, least), 10 * min(top, 1e6)))
    return style.saved(figure)


def _curve(axis: Axes, lags: list[int], values: Any, label: str, line: dict[str, Any]) -> None:
    quartiles = [[_power(v) for v in values[name]] for name in ("low", "median", "high")]
    style.band(axis, lags, quartiles, label=label, **line)


def _exponents(group: Group) -> bytes:
    """The largest Lyapunov exponent with its quartiles, and the half-life that it implies."""
    figure, (axis,) = style.panels((8, 0.34 * len(group) + 1.3))
    names = list(group)
    for place, name in enumerate(names):
        values = [group[name]["exponents"][part][0] for part in ("low", "median", "high")]
        low, median, high = (math.nan if value is None else value for value in values)
        axis.plot([low, high], [place, place], color=style.BAND, lw=5, solid_capstyle="butt")
        axis.plot(median, place, "|", color=style.INK, ms=11, mew=2)
    axis.axvline(0, color=style.MARK, lw=0.9)
    axis.set_yticks(range(len(names)), [name.replace("-", " ") for name in names])
    axis.set(xlabel="largest Lyapunov exponent (nats a step)")
    axis.set_xscale("symlog", linthresh=1e-3)
    axis.invert_yaxis()
    style.ruled(axis)
    above = axis.twiny()
    above.set_xscale("symlog", linthresh=1e-3)
    above.set_xlim(axis.get_xlim())
    lives = (1, 10, 100)
    above.set_xticks([-math.log(2) / life for life in lives], [str(life) for life in lives])
    above.set_xlabel("half-life (steps)", x=0.25)
    above.spines[["left", "right"]].set_visible(False)
    return style.saved(figure)


def _gates(group: Group) -> bytes | None:
    """Each unit's half-life as predicted by its gate, against the measured one."""
    gated = {name: measured for name, measured in group.items() if "gates" in measured}
    if not gated:
        return None
    figure, axes = style.grid(len(gated), 2.9, 2.9, sharex=True, sharey=True)
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
        spread: dict[str, Any] = {"color": style.INK, "alpha": 0.25, "lw": 0.6}
        axis.hlines(y, left, right, **spread)
        axis.vlines(x, below, above, **spread)
        axis.plot(x, y, ".", color=style.INK, ms=3, alpha=0.5)
        axis.plot([0.2, longest], [0.2, longest], color=style.MARK, lw=0.8)
        axis.set(xscale="log", yscale="log")
        axis.set_title(name.replace("-", " "), loc="left", fontsize=10)
        style.ruled(axis)
    figure.supxlabel("half-life by the gate (steps)", fontsize=10)
    figure.supylabel(OWN, fontsize=10)
    return style.saved(figure)


def _trained(before: Group, after: Group) -> bytes:
    """Transport before and after training, one panel per run."""
    figure, axes = style.grid(len(after), 3.0, 2.6, sharex=True, sharey=True)
    styles: dict[str, dict[str, Any]] = {
        "before training": {"color": style.SEED, "ls": style.DASHED},
        "after": {"color": style.INK, "ls": "-"},
    }
    for axis, name in zip(axes, after, strict=True):
        for (label, line), group in zip(styles.items(), (before, after), strict=True):
            measured = group[name]
            _curve(axis, measured["lags"], measured["transport"], label, line)
        axis.set(yscale="log", ylim=(1e-12, 1e3), xlim=(0, measured["lags"][-1]))
        axis.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        axis.set_title(name.replace("-", " "), loc="left", fontsize=10)
        style.ruled(axis)
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside upper center",
        ncols=2,
        frameon=False,
        fontsize=10,
    )
    figure.supxlabel("lag n (steps)", fontsize=10)
    figure.supylabel(CARRIED, fontsize=10)
    return style.saved(figure)


def _power(log: float | None) -> float:
    """The number with this logarithm, but no smaller than what a figure can show."""
    return FLOOR / 1e4 if log is None else math.exp(min(max(log, math.log(FLOOR / 1e4)), 300))
