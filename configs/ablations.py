"""What the sweeps that compare cells have in common."""

from collections.abc import Callable, Mapping, Sequence

from ml_collections import ConfigDict

from configs import adding, copy_memory, flip_flop
from configs.variants import Overrides, Variants, product, values

PARAMETERS = 10_000
RATES = (0.01, 0.003)
STEPS = {"adding": 2000, "copy": 3000, "flip_flop": 1000}
CONFIGS = {"adding": adding, "copy": copy_memory, "flip_flop": flip_flop}


def base(name: str) -> ConfigDict:
    """The base config of an ablation: every trial overrides its task and budget."""
    config = adding.get_config()
    config.name = name
    return config


def overrides(config: ConfigDict) -> Overrides:
    """The overrides that give any config the task, the budget and the target of this one."""
    train = config.train
    return {
        "task": config.task.to_dict(),
        "train.steps": train.steps,
        "train.batch_size": train.batch_size,
        "train.target_metric": train.target_metric,
        "train.target": train.target,
    }


def ablation(
    add: Callable[..., None],
    problems: Mapping[str, tuple[int, ...]],
    cells: Callable[[float], Variants],
    reference: str | None,
    rates: Sequence[float] = RATES,
) -> None:
    """Adds a trial for every cell, problem and learning rate.

    All cells have about `PARAMETERS` parameters, except those that override `model.hidden_sizes`.
    Each trial is tested against the reference cell's trial with the same problem and learning rate.

    Args:
      add: the function that `sweep` is given.
      problems: the lengths T of each task, by its name in `CONFIGS`.
      cells: the variants of the cell, as a function of the longest memory that the problem needs,
        in steps.
      reference: the name of one of these variants; None for no tests.
      rates: the learning rates.
    """
    for problem, lengths in problems.items():
        config = CONFIGS[problem].get_config()
        config.train.steps = STEPS[problem]
        for length in lengths:
            config.task.length = length
            here = {f"{problem}-T{length}": overrides(config)}
            memory = float(length + 20 if problem == "copy" else length)
            for rate, slower in values("optimizer.learning_rate", rates, "lr").items():
                against = reference and next(iter(product(here, {reference: {}}, {rate: {}})))
                for name, changes in product(here, cells(memory), {rate: slower}).items():
                    parameters = None if "model.hidden_sizes" in changes else PARAMETERS
                    other = None if name == against else against
                    add(name, changes, parameters=parameters, reference=other)
