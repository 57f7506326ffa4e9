"""Measurements of a population's gradients, as quartiles over its seeds and over examples."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from experiments.settings.resolution import Settings
from experiments.stats.outcomes import quartiles
from experiments.system.files import RunError
from gru_jax import FieldError, SequenceModel, VanillaCell, diagnostics, fields, training
from gru_jax.axes import Array
from gru_jax.devices import make_mesh, to_devices, to_host
from gru_jax.tasks.base import Example, evaluation_batch
from gru_jax.tasks.dataset import Dataset

VECTORS = 8  # how many random directions to transport
LAGS = 40  # at how many lags to compute singular values
RECENT = 10  # last steps whose share of the weights' gradient is reported
UNITS = 256  # the most units of a population that a figure shows one by one
MEAN = "mean of "  # prefix of a gate's mean over time, per unit
Measured = dict[str, Any]


def check(settings: Settings, inputs: int) -> None:
    """Checks that the run can be measured.

    Raises:
      FieldError: its examples are padded or fewer, or its layers are bidirectional.
    """
    task = settings.experiment.task
    if isinstance(task, Dataset):
        fields.integer("--inputs", inputs, 1, task.size)
    batch = jax.eval_shape(lambda: evaluation_batch(task, jnp.arange(inputs)))
    if batch.lengths is not None:
        raise FieldError("config.task", task, "one whose examples have one length")
    if settings.config["model"]["bidirectional"]:
        raise FieldError("config.model.bidirectional", True, "False: a lag needs one direction")


def measure(
    settings: Settings, state: training.TrainState, inputs: int, exponents: int
) -> Measured:
    """All measurements of one population.

    Logarithms are natural; None stands for minus infinity. A half-life of None is infinite.

    Args:
      inputs: on how many examples of the evaluation set to measure each seed.
      exponents: how many Lyapunov exponents, at most; the state has one per number in it.

    Raises:
      RunError: a state has overflowed.
    """
    experiment = settings.experiment
    every = max(1, experiment.task.steps // LAGS)
    examples = evaluation_batch(experiment.task, jnp.arange(inputs))

    def member(state: training.TrainState, batch: Example) -> dict[str, Array]:
        model = experiment.model(state.final)
        return jax.vmap(lambda example: _of_one(settings, model, example, every, exponents))(batch)

    mesh = make_mesh(len(settings.seeds), 1)
    run = jax.jit(training.over_population(mesh, member))
    found = to_host(run(to_devices(to_host(state), training.per_seed(mesh)), examples))
    if not found.pop("in_range").all():
        raise RunError(
            f"config.task.length = {experiment.task.steps}: the state of a "
            f"{settings.config['model']['cell']} grows beyond its numbers within so many steps"
        )
    return _summed_up(found, every) | {
        "cell": settings.config["model"]["cell"],
        "units": sum(settings.config["model"]["hidden_sizes"]),
        "seeds": len(settings.seeds),
        "inputs": inputs,
        "parameters": experiment.parameters,
    }


def _of_one(
    settings: Settings, model: SequenceModel, example: Example, every: int, exponents: int
) -> dict[str, Array]:
    """One model on one example."""
    task, inputs = settings.experiment.task, example.inputs
    batch = jax.tree.map(lambda values: values[None], example)
    dynamics = diagnostics.dynamics(model, inputs)
    size = dynamics.start.size
    gradient = diagnostics.loss_gradient(
        model, inputs, lambda outputs: task.loss(outputs[None], batch)[0]
    )
    vectors = diagnostics.random_vectors(jax.random.key(0), VECTORS, size)
    products = diagnostics.jacobians(model, inputs, every)
    carried = diagnostics.transport(model, inputs, vectors)
    found = {
        # A state that overflows at one step is NaN from the next one on, and its gradient would
        # look as if nothing were carried.
        "in_range": jnp.isfinite(dynamics.states(inputs)[-1]).all(),
        "loss": _less(gradient.log_state, gradient.log_state[0]),
        "weights": _less(gradient.log_weights, jax.nn.logsumexp(gradient.log_weights)),
        "transport": carried,
        "largest": products.log_largest,
        "horizon": diagnostics.horizon(gradient.log_state),
        "exponents": diagnostics.lyapunov_exponents(model, inputs, min(exponents, size)),
    }
    if not task.tokens:
        found["response"] = diagnostics.input_response(carried.mean(axis=0), inputs)
    cells = [layer.forward.cell for layer in model.layers]
    if len(cells) == 1 and isinstance(cells[0], VanillaCell):
        found["bound"] = diagnostics.vanilla_bound(cells[0], model.encoder(inputs))
    try:
        shares = diagnostics.kept(model, inputs)
    except FieldError:  # a cell without a keeping gate lacks these measurements
        return found
    layers = diagnostics.gates(model, inputs)
    halves = map(diagnostics.own_half_life, products.log_own)
    return found | {
        "gate": jnp.concatenate([diagnostics.gate_half_life(share) for share in shares]),
        "own": jnp.concatenate(list(halves)),
        **{
            MEAN + name: jnp.concatenate([gates[name].mean(axis=0) for gates in layers])
            for name in layers[0]
        },
    }


def _less(logs: Array, log: Array) -> Array:
    """The logarithm of a quotient; minus infinity, for a numerator of zero, stays as it is."""
    return jnp.where(logs == -jnp.inf, logs, logs - log)


def _summed_up(found: dict[str, np.ndarray], every: int) -> Measured:
    """Quartiles over seeds and inputs, as lists, of arrays (seeds, inputs, ...)."""
    steps = found["loss"].shape[-1] - 1
    lags = sorted({*range(min(steps, 10) + 1), *range(0, steps + 1, every)})
    of_steps = [lag for lag in lags if lag < steps]
    top = found["exponents"][..., 0]
    result = {
        "lags": lags,
        "loss": _spread(found["loss"][..., lags]),
        "weights": _spread(found["weights"][..., of_steps]),
        "recent": _quartiles(np.exp(found["weights"][..., :RECENT]).sum(-1)),
        "transport": _spread(found["transport"][..., lags]),
        "largest_lags": list(range(every, steps + 1, every)),
        "largest": _spread(found["largest"]),
        "exponents": _spread(found["exponents"]),
        "half_life": _quartiles(np.where(top < 0, np.log(2) / np.maximum(-top, 1e-30), np.inf)),
        "horizon": _quartiles(found["horizon"]),
        "at_end": _quartiles(found["transport"][..., -1]),
    }
    if "response" in found:
        result["response"] = _spread(found["response"])
    if "bound" in found:
        result["bound"] = _spread(found["bound"][..., lags])
    if "gate" in found:
        gates = {
            name.removeprefix(MEAN): values
            for name, values in found.items()
            if name == "gate" or name.startswith(MEAN)
        }
        own = found["own"]
        result["gates"] = {
            "correlation": {name: _ranks(values, own) for name, values in gates.items()},
            "half_life": {"gate": _quartiles(found["gate"]), "own": _quartiles(own)},
            "units": {"gate": _of_units(found["gate"]), "own": _of_units(own)},
        }
    return result


def _ranks(gate: np.ndarray, own: np.ndarray) -> list[float | None] | None:
    """Quartiles of Spearman's correlation over the units of one seed on one example.

    None if the gate is constant everywhere.
    """
    rows = (values.reshape(-1, values.shape[-1]) for values in (gate, own))
    found = [
        scipy.stats.spearmanr(*pair).statistic
        for pair in zip(*rows, strict=True)
        if all(np.ptp(values) > 0 for values in pair)
    ]
    return _plain(quartiles(found)) if found else None


def _spread(values: np.ndarray) -> dict[str, list[float | None]]:
    """Quartiles over all axes except the last."""
    columns = values.reshape(-1, values.shape[-1]).T
    low, median, high = zip(*(quartiles(column) for column in columns), strict=True)
    return {"low": _plain(low), "median": _plain(median), "high": _plain(high)}


def _quartiles(values: np.ndarray) -> list[float | None]:
    return _plain(quartiles(values.reshape(-1)))


def _of_units(values: np.ndarray) -> dict[str, list[float | None]]:
    """Quartiles over inputs for at most `UNITS` units, taken evenly from all seeds and layers."""
    rows = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    return _spread(rows[:, :: -(-rows.shape[-1] // UNITS)])


def _plain(values: Any) -> list[float | None]:
    """Values for JSON: five digits, and None for what is not finite."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
