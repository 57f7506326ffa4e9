"""The table of docs/reliability.md, from what kills, fuzz and soak have counted."""

import json
from typing import Any

from scripts.endurance import fuzz, kills, soak
from scripts.paper import pages


def table() -> str:
    """One row for everything that was tried at length, by a script."""
    found = {
        script: json.loads(script.RESULTS.read_text())
        for script in (kills, fuzz, soak)
        if script.RESULTS.exists()
    }
    rows = {kills: _killed, fuzz: _fuzzed, soak: _soaked}
    lines = ["| tried by a script | how often | outcome |", "|---|---|---|"]
    lines += [f"| {' | '.join(rows[script](result))} |" for script, result in found.items()]
    made = [
        f"`{result['environment']['command']}` at commit {result['environment']['commit'][:8]}"
        for script, result in found.items()
    ]
    versions = pages.made_with(found[kills]["environment"])
    return "\n".join([*lines, "", f"{', '.join(made)}; on a CPU, {versions}."])


def _killed(result: dict[str, Any]) -> tuple[str, str, str]:
    return (
        f"SIGKILL, {result['runs']} runs between them: {_counts(result, 'hit: ')}",
        f"{result['kills']:,} kills",
        f"{result['equal_runs']} of {result['runs']} runs ended with the bits of one that "
        "nobody touched: parameters, optimizer, every line of metrics.jsonl",
    )


def _fuzzed(result: dict[str, Any]) -> tuple[str, str, str]:
    return (
        "nonsense in the fields of a config, on the command line or in Python",
        f"{result['cases']:,} configs",
        f"each traced or was refused in one line: {_counts(result, '')}",
    )


def _soaked(result: dict[str, Any]) -> tuple[str, str, str]:
    first, last, _ = result["memory_mib"]
    slope, error = result["slope_mib_per_hour"]
    fewest, most = result["open_files"]
    kept, seen = result["checkpoints_kept"]
    return (
        f"training with {result['evaluations']:,} evaluations and {result['checkpoints']:,} "
        f"checkpoints, watched for {result['minutes']:.0f} minutes after a warm-up of "
        f"{result['warm_up']}",
        f"{result['looks']} looks",
        f"resident memory {first} MiB at the start and {last} at the end, slope {slope} ± {error} "
        f"MiB an hour (standard error); {fewest} to {most} open files; {kept} checkpoints to "
        f"keep, at most {seen} seen (a save adds one before it removes one)",
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
