"""Shows the gates of a trained run: python -m experiments.gates --run=WORKDIR [--seed=0]

Draws every gate of one seed over one example, with the units ordered by their time scale, and
writes gates.json: the means of every gate for each seed, by token and by step.
"""

import dataclasses
import functools
import io
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich.table
from absl import flags

from experiments import commandline
from experiments.files import write_bytes, write_json
from experiments.outcomes import quartiles
from experiments.settings import resolve
from experiments.workdir import Run, load, read_config
from gru_jax import FieldError, Task, fields
from gru_jax.devices import use_cpu_cores
from gru_jax.diagnostics import half_life
from gru_jax.tasks.base import Example, evaluation_batch
from gru_jax.tasks.dataset import Dataset

EXAMPLES = 128  # from the evaluation set, to average over
WRITTEN = 60  # steps; tokens of longer examples are drawn as colours
NAMED = 24  # tokens that fit a legend and a readable table
CLOSED, OPEN = 0.1, 0.9  # a gate is closed below the first, open above the second
INK, LIGHT = "#1f3b5c", "#e9eef3"


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One layer's gates over examples of the evaluation set.

    gates: by name (seeds, examples, time, hidden).
    kept: the share of the old state that is kept, of the same shape; None if no gate tells it.
    inside: (examples, time), False at padding.
    """

    gates: dict[str, np.ndarray]
    kept: np.ndarray | None
    batch: Example
    inside: np.ndarray


def available(task: Task) -> int:
    """How many examples of the evaluation set are used."""
    return min(EXAMPLES, task.size) if isinstance(task, Dataset) else EXAMPLES


def record(run: Run, layer: int = 0, examples: int | None = None) -> Recorded:
    """Runs every seed over all `available` examples of the evaluation set, or the first few.

    Raises:
      FieldError: there is no such layer, it runs both ways, or its cell has no gates.
    """
    experiment = run.settings.experiment
    layers = run.models[0].layers
    fields.integer("--layer", layer, 0, len(layers) - 1)
    if layers[layer].backward is not None:
        raise FieldError("config.model.bidirectional", True, "False, to show one direction's gates")
    cell = layers[layer].forward.cell
    examples = examples or available(experiment.task)
    batch = evaluation_batch(experiment.task, jnp.arange(examples))

    def member(params: Any) -> Any:
        model = experiment.model(params)
        return model.recur(batch.inputs, seq_lengths=batch.lengths)[2][layer]

    found = jax.jit(jax.vmap(member))(run.state.final)
    kept = cell.kept(found)
    gates = {name: np.asarray(values) for name, values in found.items() if name != "candidate"}
    if not gates:
        raise FieldError(
            "config.model.cell", run.settings.config["model"]["cell"], "one with gates"
        )
    steps = np.arange(experiment.task.steps)
    lengths = np.full(examples, len(steps)) if batch.lengths is None else np.asarray(batch.lengths)
    inside = steps < lengths[:, None]
    return Recorded(gates, None if kept is None else np.asarray(kept), batch, inside)


def means(task: Task, recorded: Recorded) -> dict[str, Any]:
    """For every gate: its mean over units and examples by step, and by token if there are tokens;
    and by step the shares of units in which it is closed and open. Each is a list with one entry
    per seed. Steps end with the longest example.
    """
    found: dict[str, Any] = {}
    longest = int(recorded.inside.sum(axis=1).max())
    inside = recorded.inside[:, :longest, None]
    for name, whole in recorded.gates.items():
        values = whole[:, :, :longest]
        mean = lambda where, values=values, axes=(1, 2, 3): _rounded(
            np.mean(values, axis=axes, where=np.broadcast_to(where, values.shape))
        )
        by_step = functools.partial(mean, inside, axes=(1, 3))
        found[name] = {
            "all": mean(inside),
            "by_step": by_step(),
            "closed_by_step": by_step(values < CLOSED),
            "open_by_step": by_step(values > OPEN),
        }
        if task.tokens:
            inputs = np.asarray(recorded.batch.inputs)[:, :longest, None]
            found[name]["by_token"] = {
                _name(task, token): mean(inside & (inputs == token))
                for token in range(task.input_size)
                if (inside & (inputs == token)).any()
            }
    return found


def time_scales(recorded: Recorded) -> np.ndarray | None:
    """The half-life of each unit in steps, predicted by its gate (seeds, hidden): the median over
    the examples.
    """
    if recorded.kept is None:
        return None
    inside = recorded.inside[..., None]
    with np.errstate(divide="ignore"):  # a gate may be 0 or 1 exactly
        logs = np.log(np.where(inside, recorded.kept, 1.0)).sum(axis=2) / inside.sum(axis=1)
    return np.median(half_life(logs), axis=1)


def order(recorded: Recorded, seed: int) -> np.ndarray:
    """One seed's units, the shortest memory first; unsorted if no gate tells it."""
    scales = time_scales(recorded)
    units = next(iter(recorded.gates.values())).shape[-1]
    return np.arange(units) if scales is None else np.argsort(scales[seed])


def draw(run: Run, recorded: Recorded, example: int, seed: int) -> bytes:
    """One heat map per gate, with each unit's mean over all examples beside it; inputs below."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    steps = int(recorded.inside[example].sum())
    names, sorted_units = list(recorded.gates), order(recorded, seed)
    units = len(sorted_units)
    figure, axes = plt.subplots(
        len(names) + 1,
        2,
        figsize=(10.5, 2.3 * len(names) + 1.4),
        width_ratios=(12, 1.6),
        height_ratios=[*[1] * len(names), _height(run.task)],
        layout="constrained",
    )
    image: Any = None
    for (axis, side), name in zip(axes, names, strict=False):
        shown = recorded.gates[name][seed, example, :steps][:, sorted_units].T
        image = axis.imshow(
            shown, vmin=0, vmax=1, cmap="cividis", aspect="auto", interpolation="nearest"
        )
        axis.set(xticks=[], ylabel="units\n(longest memory below)", yticks=[])
        axis.set_title(f"{name} gate", loc="left", fontsize=11)
        inside = np.broadcast_to(recorded.inside[..., None], recorded.gates[name][seed].shape)
        mean = recorded.gates[name][seed].mean(axis=(0, 1), where=inside)
        side.barh(np.arange(units), mean[sorted_units], color=INK, height=0.9)
        side.set(xlim=(0, 1), ylim=(units - 0.5, -0.5), yticks=[], xticks=[0, 0.5, 1])
        side.set_title("mean", fontsize=9)
        side.spines[["top", "right"]].set_visible(False)
    _inputs(axes[-1][0], run.task, np.asarray(recorded.batch.inputs[example])[:steps])
    axes[-1][1].set_visible(False)
    figure.colorbar(image, ax=axes[:-1, 1], shrink=0.7, label="gate")
    model = run.settings.config["model"]
    figure.suptitle(
        f"{run.settings.config['name']}: {model['cell']}, seed {run.settings.seeds[seed]}, "
        f"example {example}",
        fontsize=12,
    )
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=140)
    plt.close(figure)
    return drawn.getvalue()


def _height(task: Task) -> float:
    """The height of the inputs' row, relative to a gate's."""
    return 0.22 if task.tokens else min(0.15 * task.input_size, 1.0)


def _inputs(axis: Any, task: Task, inputs: np.ndarray) -> None:
    """Draws tokens as words, or as colours if there are many, and numbers as a heat map."""
    from matplotlib import pyplot as plt

    axis.set(yticks=[], xlabel="time step")
    if not task.tokens:
        axis.imshow(inputs.T, cmap="Greys", aspect="auto", interpolation="nearest")
        axis.set_ylabel("input")
        return
    kinds = task.input_size
    colours = plt.get_cmap("tab10" if kinds <= 10 else "turbo", kinds)
    if len(inputs) > WRITTEN:
        axis.imshow(inputs[None], cmap=colours, vmin=0, vmax=kinds - 1, aspect="auto")
        present = [token for token in range(kinds) if (inputs == token).any()]
        handles = [
            plt.Line2D([], [], marker="s", ls="", color=colours(token), label=_name(task, token))
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
    axis.spines[["top", "left", "right"]].set_visible(False)
    for step, token in enumerate(inputs):
        turned = 90 if len(_name(task, token)) > 1 else 0
        axis.text(step, 0.5, _name(task, token), ha="center", va="center", rotation=turned)


def _name(task: Task, token: int) -> str:
    return task.token_names[token] if task.token_names else str(token)


def _rounded(values: Any) -> list[Any]:
    return np.round(values, 4).tolist()


def table(found: dict[str, Any]) -> rich.table.Table:
    """The means by token, or over all steps: median and range over the seeds."""
    told = {
        name: gate.get("by_token", {"every input": gate["all"]}) for name, gate in found.items()
    }
    caption = "mean over units and steps: median (lowest..highest) over the seeds"
    if (more := len(next(iter(told.values()))) - NAMED) > 0:
        caption += f"; {more} more tokens in gates.json"
    shown = rich.table.Table(caption=caption)
    shown.add_column("token")
    for name in found:
        shown.add_column(f"{name} gate", justify="right")
    for token in list(next(iter(told.values())))[:NAMED]:
        cells = [by_token[token] for by_token in told.values()]
        shown.add_row(
            fields.printable(token),
            *(f"{quartiles(v)[1]:.2f} ({min(v):.2f}..{max(v):.2f})" for v in cells),
        )
    return shown


def define_flags() -> None:
    flags.DEFINE_string("run", None, "the run's folder", required=True)
    flags.DEFINE_integer("example", 0, "which example of the evaluation set to draw")
    flags.DEFINE_integer("seed", 0, "which seed of the population to draw, counted from 0")
    flags.DEFINE_integer("layer", 0, "which layer, counted from 0 at the input")


def main() -> int:
    options = flags.FLAGS
    workdir = Path(options.run)
    settings = resolve(read_config(workdir))
    use_cpu_cores(*settings.mesh_sizes)
    run = load(workdir)
    fields.integer("--example", options.example, 0, available(run.task) - 1)
    fields.integer("--seed", options.seed, 0, len(settings.seeds) - 1)
    recorded = record(run, options.layer)
    found = means(run.task, recorded)
    write_json(workdir / "gates.json", found)
    write_bytes(workdir / "gates.png", draw(run, recorded, options.example, options.seed))
    commandline.console().print(table(found))
    print(f"figure: {workdir / 'gates.png'}; means by step: {workdir / 'gates.json'}")
    return 0


if __name__ == "__main__":
    commandline.run(main, define_flags)
