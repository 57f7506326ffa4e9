"""Every field that a run has, with its default."""

import typing
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from gru_jax import CELLS, Cell, FieldError

KINDS = (float, int, bool, str, tuple)  # what the value of a field may be


def get_config() -> ConfigDict:
    """The base that each task's config completes with `name` and `task`."""
    config = ConfigDict()
    config.name = ""  # names the run's folder: runs/NAME-HASH

    config.task = ConfigDict()  # the task's name and fields: see the task's config

    config.model = model = ConfigDict()
    model.cell = "gru"  # a name in gru_jax.CELLS: which of the cells' sections is used
    model.hidden_sizes = (64,)  # units of each layer, the lowest first
    model.bidirectional = False  # every layer runs both ways in time
    model.encoder = "auto"  # of tokens: one_hot, embedding or scalar; auto: one_hot
    model.embedding_size = 32  # of encoder=embedding
    model.keeping_bias = placeholder(float)  # start of the keeping gate's bias; or the cell's
    model.chrono_max = 0.0  # draw it by chrono, for memories of up to so many steps; 0: don't
    model.learn_initial_state = False  # the state before the first step is a parameter
    model.dtype = "float32"  # operands of the cells' products: float32 or bfloat16
    model.gradient = "auto"  # or plain, batched, recomputed: speed and memory, not values
    model.segment = 0  # time steps that a batched gradient takes together; 0: by the sizes
    model.unroll = 1  # time steps in one iteration of a plain scan

    for name, cell in CELLS.items():  # config.model.NAME: the options of that cell
        if name in model:
            raise FieldError("CELLS", name, "a name that is no field of config.model")
        model[name] = options(cell)

    config.optimizer = optimizer = ConfigDict()
    optimizer.name = "adam"  # adam, adamw, rmsprop or sgd
    optimizer.learning_rate = 1e-2  # peak
    optimizer.clip_norm = 1.0  # bound on the gradient's global norm; 0: none
    optimizer.beta1 = 0.9  # decay of the mean gradient; momentum of rmsprop and sgd
    optimizer.beta2 = 0.999  # decay of the mean square
    optimizer.epsilon = 1e-8  # added to its root
    optimizer.weight_decay = 0.0  # adamw
    optimizer.schedule = "constant"  # or cosine, warmup_constant, warmup_cosine
    optimizer.warmup_steps = 0  # from 0 to the peak
    optimizer.decay_steps = 0  # until a cosine reaches 0, warm-up included

    config.population = population = ConfigDict()
    population.seeds = 8  # models trained together
    population.first_seed = 0  # they are first_seed, first_seed + 1, ...
    population.learning_rates = ()  # one a seed, in place of optimizer.learning_rate
    population.clip_norms = ()  # one a seed, in place of optimizer.clip_norm

    config.train = train = ConfigDict()
    train.steps = 1000  # budget of updates; a multiple of log_every
    train.batch_size = 64  # fresh examples a step and seed
    train.log_every = 50  # steps a dispatch: then evaluate and log
    train.checkpoint_every = 250  # steps; a multiple of log_every
    train.checkpoints_kept = 2  # the newest; with one, a damaged file loses the run
    train.evaluation_examples = 512  # size of the fixed evaluation set; 0: a whole split of data
    train.target_metric = "loss"  # the evaluation metric that says when a seed is done
    train.keep = "last"  # or best: a run ends with the models of its best evaluation
    train.target = placeholder(float)  # loss below it, others above it; not given: never
    return config


def collected() -> ConfigDict:
    """The base of examples that somebody collected: the models that validate best are kept."""
    config = get_config()  # every other field as above
    config.train.evaluation_examples = 0  # the whole split
    config.train.keep = "best"  # by the validation split
    return config


def options(cell: type[Cell]) -> ConfigDict:
    """A cell's options with their defaults, as its constructor's signature has them.

    A default that no config can hold, such as a function, makes no field, and neither does
    `keeping_bias`: `config.model` has it for all cells.
    """
    section = ConfigDict()
    try:
        hints = typing.get_type_hints(cell.__init__)
    except NameError:  # a name that only type checkers import
        hints = {}
    for name, default in cell.options().items():
        if name == "keeping_bias":
            continue
        kind = _kind(hints.get(name))
        if default is None:
            section[name] = placeholder(kind)
        elif kind is float and type(default) is int:
            section[name] = float(default)  # `scale: float = 1` may become 0.5
        elif _plain(default):
            section[name] = default
    return section


def _kind(hint: Any) -> type:
    """What an option that is annotated so takes: float where it is `float | str | None`."""
    allowed = (hint, *typing.get_args(hint))
    return next((kind for kind in KINDS if kind in allowed), object)


def _plain(value: Any) -> bool:
    return all(map(_plain, value)) if isinstance(value, tuple) else isinstance(value, KINDS)
