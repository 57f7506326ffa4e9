"""Draws curves.png, how a population learned, and lengths.png, its metrics at other lengths."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from experiments.figures import style
from experiments.settings.resolution import Settings
from experiments.stats.outcomes import quartiles
from gru_jax import fields
from gru_jax.tasks.dataset import TEST


def learning(settings: Settings, metrics: list[dict[str, Any]]) -> bytes:
    """Every seed, the median and the quartiles of each metric over the steps, as a PNG."""
    experiment = settings.experiment
    shown = [("eval", name) for name in experiment.task.metric_names] + [("train", "gradient_norm")]
    figure, axes = style.panels((4.2 * len(shown), 3.6), len(shown))
    for axis, (split, name) in zip(axes, shown, strict=True):
        steps, values = _by_seed(metrics, split, name)
        _population(axis, steps, values)
        axis.set_xlabel("step")
        axis.set_title(
            f"{'evaluation' if split == 'eval' else 'training'} {name.replace('_', ' ')}"
        )
        _scale(axis, logarithmic=name in ("loss", "gradient_norm"))
        if name == "loss":
            axis.axhline(
                experiment.task.baseline_loss, color=style.MARK, ls="--", lw=1, label="input-blind"
            )
        if split == "eval" and name == experiment.target_metric and experiment.target is not None:
            axis.axhline(experiment.target, color=style.MARK, ls=":", lw=1.2, label="target")
        if axis.get_legend_handles_labels()[0]:
            falling = name in ("loss", "gradient_norm")
            axis.legend(frameon=False, fontsize=8, loc="center right" if falling else "upper left")
    figure.suptitle(_title(settings), fontsize=11)
    return style.saved(figure)


def over_length(settings: Settings, found: dict[int, dict[str, list[float]]]) -> bytes:
    """Every seed, the median and the quartiles of each metric over the task's length, as a PNG."""
    task, lengths = settings.experiment.task.judged_on(TEST), list(found)
    figure, axes = style.panels((4.2 * len(task.metric_names), 3.6), len(task.metric_names))
    for axis, name in zip(axes, task.metric_names, strict=True):
        values = np.transpose([metrics[name] for metrics in found.values()])
        values[np.isnan(values)] = math.inf  # the worst value, not a frozen seed
        _population(axis, np.array(lengths), values)
        axis.plot(lengths, [quartiles(v)[1] for v in values.T], "o", color=style.INK, ms=3.5)
        axis.axvline(task.length, color=style.MARK, ls=":", lw=1.2, label="length of training")
        _scale(axis, logarithmic=name == "loss")
        if name == "loss":
            baselines = [task.with_length(length).baseline_loss for length in found]
            axis.plot(lengths, baselines, color=style.MARK, ls="--", lw=1, label="input-blind")
        axis.set(xscale="log", xlabel="length", title=f"test {name.replace('_', ' ')}")
        axis.set_xticks(lengths, [str(length) for length in found])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle(_title(settings), fontsize=11)
    return style.saved(figure)


def _title(settings: Settings) -> str:
    model = settings.config["model"]
    seeds = fields.counted(len(settings.seeds), "seed")
    return (
        f"{settings.config['name']}, length {settings.experiment.task.length}: {model['cell']} "
        f"{'x'.join(map(str, model['hidden_sizes']))}, {seeds}"
    )


def _scale(axis: Axes, logarithmic: bool) -> None:
    """Logarithmic, or that of a share."""
    if logarithmic:
        axis.set_yscale("log")
    else:
        axis.set_ylim(-0.03, 1.03)


def _by_seed(metrics: list[dict[str, Any]], split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (n,) and values (seeds, n); NaN where a seed was already frozen."""
    rows = [row for row in metrics if row["split"] == split]
    steps = np.unique([row["step"] for row in rows])
    seeds = sorted({row["seed"] for row in rows})
    values = np.full((len(seeds), len(steps)), math.nan)
    for row in rows:
        value = row[name]
        place = seeds.index(row["seed"]), int(np.searchsorted(steps, row["step"]))
        values[place] = math.inf if value is None else value
    return steps, values


def _population(axis: Axes, steps: np.ndarray, values: np.ndarray) -> None:
    for seed in values:
        axis.plot(steps, seed, color=style.SEED, lw=0.7)
        seen = np.flatnonzero(np.isfinite(seed))
        if seen.size and seen[-1] < len(steps) - 1:
            axis.plot(steps[seen[-1]], seed[seen[-1]], "o", color=style.SEED, ms=3)
    # A frozen seed keeps its last value, so that the median is always over all seeds.
    held = values.copy()
    for column in range(1, held.shape[1]):
        missing = np.isnan(held[:, column])
        held[missing, column] = held[missing, column - 1]
    if held.size and not np.isnan(held).any():
        low, median, high = np.transpose([quartiles(column) for column in held.T])
        axis.fill_between(steps, low, high, color=style.BAND, alpha=0.6, lw=0, label="quartiles")
        axis.plot(steps, median, color=style.INK, lw=1.8, label="median")
