"""Which trials wait for others or are not run, and why: a line for each cause."""

import functools
import itertools

from experiments.settings.trials import Trial
from experiments.sweeps.folder import FINISHED, SweepFolder
from gru_jax import fields

FIRST = "what has to solve its task first"


def told(folder: SweepFolder, trials: list[Trial], ended: bool) -> list[str]:
    """What to say of the trials that may not be run, before the sweep or once it has ended.

    Args:
      trials: those that were chosen; others have to be run by another command.
    """
    chosen = {trial.name: trial for trial in trials}
    names = {*chosen, *(name for trial in trials for name in trial.after)}
    over = {name: folder.state(name).status in FINISHED for name in names}
    stuck = [name for name in chosen if not over[name] and not folder.may_run(chosen[name])]

    @functools.cache
    def first(name: str) -> list[str]:
        """The trials that may be run now, of which one has to solve its task before this one."""
        each = (first(other) if other in stuck else [other] for other in chosen[name].after)
        return list(dict.fromkeys(itertools.chain.from_iterable(each)))

    found: dict[tuple[str, str], list[str]] = {}
    causes: dict[tuple[str, str], list[str]] = {}
    for name in stuck:
        missing = [other for other in first(name) if not over[other]]
        left_out = [other for other in missing if other not in chosen]
        ours = [other for other in missing if other in chosen]
        if ours and not ended:
            why, because = ("waiting", f" for {FIRST}"), ours
        elif left_out:
            why, because = ("not run", f", since --only leaves out {FIRST}"), left_out
        elif ours:
            why, because = ("not run", f", since {FIRST} has failed"), ours
        else:
            why, because = ("not run", f", since {FIRST} has not solved it"), first(name)
        found.setdefault(why, []).append(name)
        causes[why] = list(dict.fromkeys([*causes.get(why, []), *because]))
    lines = []
    for why, some in found.items():
        how, since = why
        count = fields.counted(len(some), "trial")
        lines.append(f"{how}: {count} ({_few(some)}){since}: {_few(causes[why])}")
    return lines


def _few(names: list[str]) -> str:
    return f"{names[0]} and {len(names) - 1} more" if names[1:] else names[0]
