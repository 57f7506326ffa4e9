"""Every field of a run's config, with its default; --config.FIELD=None unsets a field."""

import functools
import typing
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gru_jax import CELLS, Cell, FieldError, fields

KINDS = (float, int, bool, str, tuple)  # the types that the value of a field may have


class Section(ConfigDict):
    """A ConfigDict whose fields also take NumPy's scalars, as the numbers that they are."""

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, fields.plain(value))


def get_config() -> ConfigDict:
    """The base config. Each task's config adds `name` and the fields of `task`."""
    config = Section()
    config.name = ""  # the run is kept in the folder runs/NAME-HASH

    config.task = Section()  # the task's name and fields, see the task's config

    config.model = model = Section()
    model.cell = "gru"  # a name in gru_jax.CELLS; its options are those of the section model.NAME
    model.hidden_sizes = (64,)  # units of each layer, from the lowest to the top
    model.bidirectional = False  # every layer runs in both directions of time
    model.encoder = "auto"  # how tokens are fed: one_hot, embedding or scalar; auto is one_hot
    model.embedding_size = 32  # features of encoder=embedding
    model.start = "cell"  # each cell's own start; or torch: that of PyTorch's layer
    model.keeping_bias = placeholder(float)  # start of the keeping gate's bias; or the cell's own
    model.chrono_max = 0.0  # if not 0, that start is drawn by chrono, for memories of so many steps
    model.learn_initial_state = False  # whether it is a parameter; otherwise it is zero
    model.dtype = "float32"  # precision of the operands of matrix products: float32 or bfloat16
    model.recurrence = "auto"  # scan; or associative, chunked: of cells linear in their state
    model.gradient = "auto"  # or plain, batched, recomputed; changes speed and memory, not values
    model.segment = 0  # steps in a segment of a batched gradient; 0 to choose it by the sizes
    model.unroll = 1  # steps in an iteration of the loop, if gradient is plain

    model.regularizer = regularizer = Section()  # in training only, see gru_jax.Regularizer
    regularizer.dropout = 0.0  # of what a layer hands to the next, at each step
    regularizer.input_dropout = 0.0  # of a layer's input, with one mask a sequence
    regularizer.recurrent_dropout = 0.0  # of the state as gates hear it, with one mask a sequence
    regularizer.tied = True  # the gates of a layer share these two masks
    regularizer.candidate_dropout = 0.0  # of what a step adds to the state
    regularizer.candidate_mask = "step"  # or sequence: how often its masks are drawn
    regularizer.zoneout = ()  # the rate at which units hold their states: one, or one for each
    regularizer.weight_noise = 0.0  # standard deviation of noise on all parameters, at each update
    regularizer.weight_drop = 0.0  # of the entries of recurrent kernels, at each update

    for name, cell in CELLS.items():  # config.model.NAME has the options of that cell
        if name in model:
            raise FieldError("CELLS", name, "a name that is no field of config.model")
        model[name] = options(cell)

    config.optimizer = optimizer = Section()
    optimizer.name = "adam"  # adam, adamw, rmsprop or sgd
    optimizer.learning_rate = 1e-2  # at the peak of the schedule
    optimizer.clip_norm = 1.0  # upper bound on the gradient's global norm; 0 for none
    optimizer.beta1 = 0.9  # decay of the mean of gradients; momentum of rmsprop and sgd
    optimizer.beta2 = 0.999  # decay of the mean of squared gradients
    optimizer.epsilon = 1e-8  # added to the root of that mean
    optimizer.weight_decay = 0.0  # of adamw
    optimizer.schedule = "constant"  # or cosine, warmup_constant, warmup_cosine
    optimizer.warmup_steps = 0  # steps from 0 to the peak
    optimizer.decay_steps = 0  # from the start to the 0 of a cosine schedule; 0 for train.steps

    config.population = population = Section()
    population.seeds = 8  # how many models are trained together
    population.first_seed = 0  # the seeds are first_seed, first_seed + 1, ...
    population.learning_rates = ()  # one for each seed, instead of optimizer.learning_rate
    population.clip_norms = ()  # one for each seed, instead of optimizer.clip_norm

    config.train = train = Section()
    train.steps = 1000  # the number of updates; a multiple of log_every
    train.batch_size = 64  # new examples in each step, for each seed
    train.log_every = 50  # steps between evaluations, which are logged
    train.checkpoint_every = 250  # steps between checkpoints; a multiple of log_every
    train.checkpoints_kept = 2  # the newest ones; with only one, a damaged file loses the run
    train.evaluation_examples = 512  # in the fixed evaluation set; 0 for a data set's whole split
    train.target_metric = "loss"  # what decides, at two evaluations in a row, that one is solved
    train.keep = "last"  # or best: each seed ends with the model of its best evaluation
    train.target = placeholder(float)  # solved when a loss is below it, or another metric above
    train.carry_state = False  # each window goes on with the state at the end of that before it
    train.patience = 0  # evaluations without a better target metric that end a seed; 0: never
    return config


def collected() -> ConfigDict:
    """The base config of tasks whose examples are a data set."""
    config = get_config()
    config.train.evaluation_examples = 0  # evaluate on the whole split
    config.train.keep = "best"  # by the validation split
    return config


def options(cell: type[Cell]) -> ConfigDict:
    """A cell's options and their defaults, read from the signature of its constructor.

    Options whose default cannot be the value of a field, such as a function, are left out, and so
    is `keeping_bias`, which `config.model` has for all cells.
    """
    shared = ("keeping_bias",)
    defaults = {name: each for name, each in cell.options().items() if name not in shared}
    return typed(cell.__init__, defaults)


def typed(declared: Any, defaults: Mapping[str, Any]) -> ConfigDict:
    """Options with their defaults, as fields of the types that annotations allow.

    Args:
      declared: the function or dataclass whose annotations these are.
      defaults: one that cannot be the value of a field, such as a function, is left out.
    """
    section, kinds = Section(), _kinds(declared)
    for name, default in defaults.items():
        kind = kinds.get(name, object)
        if default is None:
            section[name] = placeholder(kind)
        elif _plain(default):  # `scale: float = 1` may become 0.5
            section[name] = float(default) if (kind, type(default)) == (float, int) else default
    return section


@functools.cache
def _kinds(declared: Any) -> dict[str, type]:
    """The first of `KINDS` that each annotation allows: float for `float | str | None`."""
    try:
        hints = typing.get_type_hints(declared)
    except NameError:  # an annotation uses a name that is imported for type checkers only
        return {}
    return {name: _kind(hint) for name, hint in hints.items()}


def _kind(hint: Any) -> type:
    origin = typing.get_origin(hint)  # tuple of `tuple[float, ...]`
    allowed = (origin,) if origin in KINDS else (hint, *typing.get_args(hint))
    return next((kind for kind in KINDS if kind in allowed), object)


def _plain(value: Any) -> bool:
    return all(map(_plain, value)) if isinstance(value, tuple) else isinstance(value, KINDS)
