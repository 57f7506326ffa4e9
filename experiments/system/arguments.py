"""The arguments of a program, before its flags are read."""

import re
from pathlib import Path

from experiments.system.files import at_home

HOME = re.compile(r"(^|[=:])(~[^/:]*)(?=/|$)")
TEXT = re.compile(r"--?prompt(=|$)")  # a flag whose value is no path
STORED = Path(__file__).parent.parent / "settings" / "stored.py"


def written_out(argv: list[str]) -> list[str]:
    """The arguments with home folders written out, and a run's config.json as a config file.

    A shell leaves "~" alone inside of an argument, as in --workdir=~/run.
    """
    home = lambda each: HOME.sub(lambda at: at[1] + str(at_home(at[2])), each)
    # Where the value stands: in the argument itself, or in the next one.
    texts = {place + ("=" not in each) for place, each in enumerate(argv) if TEXT.match(each)}
    found = [each if place in texts else home(each) for place, each in enumerate(argv)]
    for place, each in enumerate(found):
        named = each.startswith("-") and "=" in each  # a folder may have a name with "=", too
        flag, equals, file = each.partition("=") if named else (found[place - 1], "", each)
        if flag in ("--config", "-config") and file.endswith(".json"):
            found[place] = f"{flag}=" * bool(equals) + f"{STORED}:{file}"
    return found
