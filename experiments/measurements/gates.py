"""What the gates of a trained population do over examples of the evaluation set."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.runs import Run
from experiments.system import memory
from gru_jax import FieldError, Task, fields
from gru_jax.devices import one_device
from gru_jax.diagnostics import half_life
from gru_jax.diagnostics.gates import gates_of, kept_of
from gru_jax.tasks.base import Example, evaluation_batch
from gru_jax.tasks.dataset import Dataset

NAMED = 24  # tokens that fit a legend and a readable table
EXAMPLES = 128  # from the evaluation set, to average over
CLOSED, OPEN = 0.1, 0.9  # a gate is closed below the first, open above the second


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
      RunError: they need more memory than there is.
      FieldError: there is no such layer, it runs both ways, or its cell has no gates.
    """
    experiment = run.settings.experiment
    layers = run.models[0].layers
    fields.place("--layer", layer, len(layers), "the run has one layer")
    if layers[layer].backward is not None:
        raise FieldError("config.model.bidirectional", True, "False, to show one direction's gates")
    shown = layers[layer].forward
    examples = examples or available(experiment.task)
    batch = evaluation_batch(experiment.task, jnp.arange(examples))

    def member(params: Any) -> Any:
        model = experiment.model(params)
        return model.recur(batch.inputs, **batch.given)[2][layer]

    every = jax.jit(jax.vmap(member))
    held = memory.size_of(jax.eval_shape(every, run.state.final))
    parts = {"the gates of all seeds": held}
    memory.check("this figure", one_device(), parts, f"reduce --examples={examples}")
    found = every(run.state.final)
    kept = kept_of(shown, found)
    gates = jax.tree.map(np.asarray, gates_of(shown.cell, found))
    if not gates:
        raise FieldError(
            "config.model.cell", run.settings.config["model"]["cell"], "one with gates"
        )
    steps = np.arange(batch.inputs.shape[1])
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
                token_name(task, token): mean(inside & (inputs == token))
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


def token_name(task: Task, token: int) -> str:
    """What a token is called; its number where the task has no names."""
    return task.token_names[token] if task.token_names else str(token)


def _rounded(values: Any) -> list[Any]:
    return np.round(values, 4).tolist()
