"""Every gate of one model over one example: heat maps, and what the model was reading."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from experiments.figures import style
from experiments.measurements.gates import NAMED, Recorded, order, token_name
from experiments.runs import Run
from gru_jax import Task, fields

WRITTEN = 60  # steps; tokens of longer examples are drawn as colours


def draw(run: Run, recorded: Recorded, example: int, seed: int) -> bytes:
    """One heat map per gate, with each unit's mean over all examples beside it; inputs below."""
    steps = int(recorded.inside[example].sum())
    names, sorted_units = list(recorded.gates), order(recorded, seed)
    units = len(sorted_units)
    figure, flat = style.panels(
        (10.5, 2.3 * len(names) + 1.4),
        columns=2,
        rows=len(names) + 1,
        width_ratios=(12, 1.6),
        height_ratios=[*[1] * len(names), _height(run.task)],
    )
    axes = list(zip(flat[::2], flat[1::2], strict=True))  # of each gate: its map, its means
    image: Any = None
    for (axis, side), name in zip(axes, names, strict=False):
        shown = recorded.gates[name][seed, example, :steps][:, sorted_units].T
        image = axis.imshow(
            shown, vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="nearest"
        )
        axis.set(xticks=[], ylabel="units\n(longest memory below)", yticks=[])
        axis.set_title(f"{name} gate", loc="left", fontsize=11)
        axis.spines[["top", "right"]].set_visible(True)
        inside = np.broadcast_to(recorded.inside[..., None], recorded.gates[name][seed].shape)
        mean = recorded.gates[name][seed].mean(axis=(0, 1), where=inside)
        side.barh(np.arange(units), mean[sorted_units], color=style.INK, height=0.9)
        side.set(xlim=(0, 1), ylim=(units - 0.5, -0.5), yticks=[], xticks=[0, 0.5, 1])
        side.set_title("mean", fontsize=9)
    _inputs(axes[-1][0], run.task, np.asarray(recorded.batch.inputs[example])[:steps])
    axes[-1][1].set_visible(False)
    figure.colorbar(image, ax=[side for _, side in axes[:-1]], shrink=0.7, label="gate")
    model = run.settings.config["model"]
    figure.suptitle(
        f"{run.settings.config['name']}: {model['cell']}, seed {run.settings.seeds[seed]}, "
        f"example {example}",
        fontsize=12,
    )
    return style.saved(figure)


def _height(task: Task) -> float:
    """The height of the inputs' row, relative to a gate's."""
    return 0.22 if task.tokens else min(0.15 * task.input_size, 1.0)


def _inputs(axis: Axes, task: Task, inputs: np.ndarray) -> None:
    """Draws tokens as words, or as colours if there are many, and numbers as a heat map."""
    axis.set(yticks=[], xlabel="time step")
    if not task.tokens:
        axis.imshow(inputs.T, cmap="Greys", aspect="auto", interpolation="nearest")
        axis.set_ylabel("input")
        return
    kinds = task.input_size
    colours = matplotlib.colormaps["tab10" if kinds <= 10 else "turbo"].resampled(kinds)
    if len(inputs) > WRITTEN:
        axis.imshow(inputs[None], cmap=colours, vmin=0, vmax=kinds - 1, aspect="auto")
        present = [token for token in range(kinds) if (inputs == token).any()]
        handles = [
            Line2D([], [], marker="s", ls="", color=colours(token), label=_shown(task, token))
            for token in present[:NAMED]
        ]
        axis.legend(
            handles=handles,
            ncols=min(len(handles), 12),
            frameon=False,
            fontsize=9,
            loc="upper center",
            bbox_to_anchor=(0.5, -1.2),
            handletextpad=0.1,
        )
        return
    axis.set(xlim=(-0.5, len(inputs) - 0.5), ylim=(0, 1))
    axis.spines["left"].set_visible(False)
    for step, token in enumerate(inputs):
        shown = _shown(task, token)
        turned = 90 if len(shown) > 1 else 0
        axis.text(step, 0.5, shown, ha="center", va="center", rotation=turned)


def _shown(task: Task, token: int) -> str:
    return fields.printable(token_name(task, token))
