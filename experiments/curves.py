"""Draws curves.png, how a population learned, and lengths.png, its metrics at other lengths."""

import io
import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from experiments.files import write_bytes
from experiments.outcomes import quartiles
from experiments.settings import Settings
from experiments.workdir import read_metrics

matplotlib.use("Agg")
from matplotlib import pyplot as plt

INK, BAND, SEED, MARK = "#1f4e79", "#9dc3e6", "#9aa5b1", "#b03a2e"


def draw_curves(workdir: Path, settings: Settings) -> None:
    """Draws every seed, the median and the quartiles of each metric over the steps."""
    experiment = settings.experiment
    metrics = read_metrics(workdir)
    panels = [("eval", name) for name in experiment.task.metric_names] + [
        ("train", "gradient_norm")
    ]
    figure, axes = plt.subplots(
        1, len(panels), figsize=(4.2 * len(panels), 3.6), layout="constrained"
    )
    for axis, (split, name) in zip(axes, panels, strict=True):
        steps, values = _by_seed(metrics, split, name)
        _draw_population(axis, steps, values)
        axis.set_xlabel("step")
        axis.set_title(
            f"{'evaluation' if split == 'eval' else 'training'} {name.replace('_', ' ')}"
        )
        if name in ("loss", "gradient_norm"):
            axis.set_yscale("log")
        else:
            axis.set_ylim(-0.03, 1.03)
        if name == "loss":
            axis.axhline(
                experiment.task.baseline_loss, color=MARK, ls="--", lw=1, label="input-blind"
            )
        if split == "eval" and name == experiment.target_metric and experiment.target is not None:
            axis.axhline(experiment.target, color=MARK, ls=":", lw=1.2, label="target")
        if axis.get_legend_handles_labels()[0]:
            falling = name in ("loss", "gradient_norm")
            axis.legend(frameon=False, fontsize=8, loc="center right" if falling else "upper left")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(settings), fontsize=11)
    _write(figure, workdir / "curves.png")


def draw_lengths(
    workdir: Path, settings: Settings, found: dict[int, dict[str, list[float]]]
) -> None:
    """Draws every seed, the median and the quartiles of each metric over the task's length."""
    task = settings.experiment.task
    figure, axes = plt.subplots(
        1,
        len(task.metric_names),
        figsize=(4.2 * len(task.metric_names), 3.6),
        layout="constrained",
    )
    for axis, name in zip(axes, task.metric_names, strict=True):
        values = np.transpose([metrics[name] for metrics in found.values()])
        values[np.isnan(values)] = math.inf  # the worst value, not a frozen seed
        _draw_population(axis, np.array(list(found)), values)
        axis.plot(list(found), [quartiles(v)[1] for v in values.T], "o", color=INK, ms=3.5)
        axis.axvline(task.length, color=MARK, ls=":", lw=1.2, label="length of training")
        if name == "loss":
            baselines = [task.with_length(length).baseline_loss for length in found]
            axis.plot(list(found), baselines, color=MARK, ls="--", lw=1, label="input-blind")
            axis.set_yscale("log")
        else:
            axis.set_ylim(-0.03, 1.03)
        axis.set(xscale="log", xlabel="length", title=f"evaluation {name.replace('_', ' ')}")
        axis.set_xticks(list(found), [str(length) for length in found])
        axis.minorticks_off()
        axis.legend(frameon=False, fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(settings), fontsize=11)
    _write(figure, workdir / "lengths.png")


def _title(settings: Settings) -> str:
    model = settings.config["model"]
    return (
        f"{settings.config['name']}, length {settings.experiment.task.length}: {model['cell']} "
        f"{'x'.join(map(str, model['hidden_sizes']))}, {len(settings.seeds)} seeds"
    )


def _write(figure: Any, path: Path) -> None:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150)
    plt.close(figure)
    write_bytes(path, drawn.getvalue())


def _by_seed(metrics: list[dict[str, Any]], split: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (n,) and values (seeds, n); NaN where a seed was already frozen."""
    rows = [row for row in metrics if row["split"] == split]
    steps = np.unique([row["step"] for row in rows])
    seeds = sorted({row["seed"] for row in rows})
    values = np.full((len(seeds), len(steps)), math.nan)
    for row in rows:
        value = row[name]
        place = seeds.index(row["seed"]), int(np.searchsorted(steps, row["step"]))
        values[place] = math.nan if value is None else value
    return steps, values


def _draw_population(axis: Any, steps: np.ndarray, values: np.ndarray) -> None:
    for seed in values:
        axis.plot(steps, seed, color=SEED, lw=0.7)
        seen = np.flatnonzero(np.isfinite(seed))
        if seen.size and seen[-1] < len(steps) - 1:
            axis.plot(steps[seen[-1]], seed[seen[-1]], "o", color=SEED, ms=3)
    # A frozen seed keeps its last value, so that the median is always over all seeds.
    held = values.copy()
    for column in range(1, held.shape[1]):
        missing = np.isnan(held[:, column])
        held[missing, column] = held[missing, column - 1]
    if held.size and np.isfinite(held).all():
        low, median, high = np.transpose([quartiles(column) for column in held.T])
        axis.fill_between(steps, low, high, color=BAND, alpha=0.6, lw=0, label="quartiles")
        axis.plot(steps, median, color=INK, lw=1.8, label="median")
