"""Verdicts in real words: how many are judged right over the length of the plot."""

from matplotlib.figure import Figure

from configs.sweeps.verdicts import PLACES, PLOTS
from experiments.figures import style
from experiments.stats.outcomes import quartiles
from experiments.system.files import write_bytes
from scripts.paper import results
from scripts.paper.sentiment import per_seed
from scripts.paths import FIGURES

SWEEP = "verdicts"


def counts() -> list[int]:
    """The lengths of plots that were run at both places."""
    names = {each.problem[0] for each in results.load(SWEEP)}
    places = lambda count: PLACES if count else PLACES[:1]
    return [n for n in PLOTS if all(f"{place}{n}" in names for place in places(n))]


def right(variant: str, place: str, count: int) -> list[float]:
    """The share of test verdicts that each seed judges right; without a plot there is one place."""
    name = f"{place if count else PLACES[0]}{count}"
    (found,) = (
        each for each in results.load(SWEEP) if (each.problem[0], each.variant) == (name, variant)
    )
    return per_seed(found, "test")


def table() -> str:
    """A row for each cell, start and place of the verdict, a column for each length of the plot."""
    lines = [
        f"| verdict | cell | {' | '.join(f'{count} sentences' for count in counts())} |",
        "|---|---|" + "--:|" * len(counts()),
    ]
    for place in PLACES:
        for variant, title in results.variants(SWEEP).items():
            cells = [_told(right(variant, place, count)) for count in counts()]
            lines.append(f"| at the {place} | {title} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", results.provenance(SWEEP)])


def _told(seeds: list[float]) -> str:
    return f"{quartiles(seeds)[1]:.0%} ({min(seeds):.0%}..{max(seeds):.0%})"


def draw() -> None:
    """The figure of docs/text.md, once there are enough lengths for lines."""
    if len(counts()) > 2:
        write_bytes(FIGURES / "verdict_words.png", style.saved(drawn()))


def drawn() -> Figure:
    told, looks = results.variants(SWEEP), results.looks(SWEEP)
    figure, axes = style.panels((9, 3.4), len(PLACES), sharey=True)
    for axis, place in zip(axes, PLACES, strict=True):
        for variant, title in told.items():
            seeds = [right(variant, place, count) for count in counts()]
            spread = [[end(each) for each in seeds] for end in (min, _median, max)]
            style.band(axis, counts(), spread, marker="o", label=title, **looks[variant])
        axis.axhline(0.5, **results.BLIND)
        axis.set(xlabel="sentences of plot", xticks=counts())
        axis.set_title(f"the verdict at the {place}", loc="left", fontsize=10)
    axes[0].set_ylabel("verdicts judged right")
    axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _median(seeds: list[float]) -> float:
    return quartiles(seeds)[1]
