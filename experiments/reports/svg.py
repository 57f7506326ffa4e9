"""Learning curves as small SVGs inside of the page, where matplotlib would take minutes for all."""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup
from matplotlib.ticker import LogLocator, MaxNLocator

from experiments.reports.results import Curve
from experiments.stats.outcomes import WORSE

WIDTH, HEIGHT = 520, 220
LEFT, RIGHT, TOP, BOTTOM = 56, 494, 8, 192  # of the plot within it
NARROW = 3  # a smaller range has no readable ticks on a logarithmic scale


def learning_curves(first: Curve, others: Sequence[Curve], baseline: float) -> Markup:
    """One curve with its quartiles in front of the medians of others, and the input-blind loss.

    A loss that is not finite, or far above the input-blind one, lies at the upper edge. Colours are
    the page's, by class.
    """
    curves = [curve for curve in (first, *others) if curve["step"]]
    if not curves:
        return Markup()
    last = max(curve["step"][-1] for curve in curves)
    medians = [value for curve in curves for value in curve["median"]]
    seen = [*medians, *first["low"], *first["high"], baseline]
    known = [value for value in seen if value is not None and value > 0]
    bottom, top = _range([min(value, WORSE * baseline) for value in known])
    logarithmic = top >= NARROW * bottom
    scaled = math.log if logarithmic else float
    low, high = scaled(bottom), scaled(top)

    def x(step: float) -> float:
        return LEFT + (RIGHT - LEFT) * step / last

    def y(value: float | None) -> float:
        if value is None or value >= top:
            return TOP
        return BOTTOM + (TOP - BOTTOM) * (scaled(max(value, bottom)) - low) / (high - low)

    def points(steps: Iterable[float], values: Iterable[float | None]) -> str:
        pairs = zip(steps, values, strict=True)
        return " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in pairs)

    subs = (1,) if top >= 30 * bottom else (1, 2, 5)
    locator = LogLocator(subs=subs, numticks=6) if logarithmic else MaxNLocator(4)
    parts = [
        f'<path class="rule" d="M{LEFT} {y(tick):.1f}H{RIGHT}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.4g}</text>'
        for tick in locator.tick_values(bottom, top)
        if bottom <= tick <= top
    ]
    parts += [
        f'<text x="{x(tick):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{tick:,.0f}</text>'
        for tick in MaxNLocator(4, integer=True).tick_values(0, last)
        if 0 <= tick <= last
    ]
    parts += [
        f'<polyline class="other" points="{points(curve["step"], curve["median"])}"/>'
        for curve in others
    ]
    there = [*first["step"], *reversed(first["step"])]
    band = points(there, [*first["high"], *reversed(first["low"])])
    parts += [
        f'<path class="blind" d="M{LEFT} {y(baseline):.1f}H{RIGHT}"/>',
        f'<polygon class="band" points="{band}"/>',
        f'<polyline class="line" points="{points(first["step"], first["median"])}"/>',
    ]
    drawn = "".join(parts)  # numbers alone, nothing to escape
    return Markup(f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{drawn}</svg>')


def _range(values: list[float]) -> tuple[float, float]:
    """The least and the greatest, and something between them if they are one."""
    low, high = min(values, default=1.0), max(values, default=1.0)
    return (low, high) if low < high else (low / 2, high * 2)
