"""The section `config.model` -> what builds a model for a task."""

import functools
import json
from typing import Any

import jax.numpy as jnp
from flax import nnx

from gru_jax import CELLS, Cell, FieldError, Regularizer, SequenceModel, Task, fields
from gru_jax.initializers import Chrono
from gru_jax.interop import torch_start

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def model_builder(task: Task, model: dict[str, Any]) -> Any:
    """What builds a model for the task; one object for equal models.

    Laying a model out takes a while, and is done once for each builder.

    Args:
      model: the section of a config that was checked.
    """
    facts = task.tokens, task.input_size, task.output_size, task.readout
    length = task.steps if task.readout == "flatten" else 0  # otherwise models do not depend on it
    return _model_builder(CELLS[model["cell"]], json.dumps(model), *facts, length)


@functools.lru_cache(maxsize=256)
def _model_builder(
    cell: type[Cell],
    text: str,
    tokens: bool,
    input_size: int,
    output_size: int,
    readout: str,
    length: int,
) -> Any:
    model = json.loads(text)
    name = model.pop("cell")
    section = model.pop(name)
    options = {field: frozen(value) for field, value in section.items()}
    fields.one_of("start", model["start"], ("cell", "torch"))
    start = _keeping_start(name, model.pop("keeping_bias"), model.pop("chrono_max"))
    if start and model["start"] == "torch":
        raise FieldError("start", "torch", "cell, with keeping_bias or chrono_max")
    make_cell = functools.partial(
        _cell,
        cell=cell,
        section=name,
        options=options,
        dtype=DTYPES[fields.one_of("dtype", model.pop("dtype"), DTYPES)],
        learn_initial_state=fields.boolean("learn_initial_state", model.pop("learn_initial_state")),
        **start,
    )
    encoder = fields.one_of(
        "encoder", model.pop("encoder"), ("auto", "one_hot", "embedding", "scalar")
    )
    if encoder == "auto":
        encoder = "one_hot" if tokens else "none"
    elif not tokens:
        raise FieldError("encoder", encoder, "auto, since this task's inputs are not tokens")
    try:
        model["regularizer"] = Regularizer(**model["regularizer"])
    except FieldError as error:
        raise error.inside("regularizer") from None
    model["hidden_sizes"] = fields.sequence(
        "hidden_sizes", model["hidden_sizes"], "a list of whole numbers"
    )
    return functools.partial(
        _build,
        make_cell=make_cell,
        input_size=input_size,
        output_size=output_size,
        readout=readout,
        length=length,
        encoder=encoder,
        **model,
    )


def _keeping_start(cell: str, keeping_bias: Any, chrono_max: Any) -> dict[str, Any]:
    """The option `keeping_bias` of a cell, where the config sets it."""
    if chrono_max is None:
        raise FieldError("chrono_max", None, "0, which turns it off, or a positive number")
    chrono_max = fields.real("chrono_max", chrono_max, least=0)
    if keeping_bias is None and not chrono_max:
        return {}
    if "keeping_bias" not in CELLS[cell].options():
        field, value, without = (
            ("chrono_max", chrono_max, 0) if chrono_max else ("keeping_bias", keeping_bias, None)
        )
        raise FieldError(field, value, f"{without}: the cell {cell!r} has no keeping_bias")
    if chrono_max and keeping_bias is not None:
        raise FieldError("keeping_bias", keeping_bias, f"left out with chrono_max = {chrono_max:g}")
    return {"keeping_bias": Chrono(chrono_max) if chrono_max else keeping_bias}


def _build(rngs: nnx.Rngs, start: str, **options: Any) -> SequenceModel:
    model = SequenceModel(rngs=rngs, **options)
    if start == "torch":
        try:
            torch_start(model, rngs=rngs)
        except ValueError as error:
            raise FieldError("start", start, f"cell ({error})") from None
    return model


def _cell(
    in_features: int,
    hidden_features: int,
    *,
    rngs: nnx.Rngs,
    cell: type[Cell],
    section: str,
    options: dict[str, Any],
    **shared: Any,
) -> Cell:
    try:
        return cell(in_features, hidden_features, rngs=rngs, **options, **shared)
    except FieldError as error:
        # Options are in the cell's section, sizes in the model's.
        raise (error.inside(section) if error.field in options else error) from None


def frozen(value: Any) -> Any:
    """Lists as tuples, so that cells and tasks can be hashed."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value
