"""The table of docs/reliability.md, from what kills, fuzz and soak have counted.

python -m scripts.reliability            write it
python -m scripts.reliability --check    exit 1 where the page does not show what results/ holds
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from experiments.files import write_text
from scripts import fuzz, kills, pages, soak

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    text = PAGE.read_text()
    fresh = page(text)
    if not parser.parse_args().check:
        write_text(PAGE, fresh)
    elif fresh != text:
        print("docs/reliability.md does not show results/: run python -m scripts.reliability")
        return 1
    return 0


def page(text: str) -> str:
    """The page with its generated part made anew."""
    return pages.fill(text, {"tried": table()})


def table() -> str:
    """One row for everything that was tried once, at length, by a script."""
    killed, fuzzed, soaked = (
        json.loads(script.RESULTS.read_text()) for script in (kills, fuzz, soak)
    )
    rows = [
        ("tried by a script", "how often", "outcome"),
        ("---", "---", "---"),
        (
            f"SIGKILL, {killed['runs']} runs between them: {_counts(killed, 'hit: ')}",
            f"{killed['kills']:,} kills",
            f"{killed['equal_runs']} of {killed['runs']} runs ended with the bits of one that "
            "nobody touched: parameters, optimizer, every line of metrics.jsonl",
        ),
        (
            "nonsense in the fields of a config, on the command line or in Python",
            f"{fuzzed['cases']:,} configs",
            f"each traced or was refused in one line: {_counts(fuzzed, '')}",
        ),
        (
            f"{soaked['minutes']:.0f} minutes of training with {soaked['evaluations']:,} "
            f"evaluations and {soaked['checkpoints']:,} checkpoints",
            f"{soaked['looks']} looks",
            "resident memory {} MiB at the start and {} at the end, slope {} ± {} MiB an hour "
            "(standard error); {} to {} open files; {} checkpoints kept, as configured, at "
            "most {} seen".format(
                *soaked["memory_mib"][:2],
                *soaked["slope_mib_per_hour"],
                *soaked["open_files"],
                *soaked["checkpoints_kept"],
            ),
        ),
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    made = [
        f"`python -m scripts.{name}` at commit {result['environment']['commit'][:8]}"
        for name, result in (("kills", killed), ("fuzz", fuzzed), ("soak", soaked))
    ]
    return "\n".join(
        [*lines, "", f"{', '.join(made)}; on a CPU, {pages.made_with(killed['environment'])}."]
    )


def _counts(result: dict[str, Any], prefix: str) -> str:
    """What a script has counted under names with this prefix, the most frequent first."""
    counted = {
        name.removeprefix(prefix): count
        for name, count in result.items()
        if name.startswith(prefix) and name not in ("cases", "minutes", "environment")
    }
    largest_first = sorted(counted.items(), key=lambda item: -item[1])
    return "; ".join(f"{count:,} {name}" for name, count in largest_first)


if __name__ == "__main__":
    sys.exit(main())
