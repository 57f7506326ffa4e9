"""The table of docs/reliability.md, from the counts of kills, fuzz and soak."""

import json
from typing import Any

from scripts.endurance import fuzz, kills, soak
from scripts.paper import pages


def table() -> str:
    """One row for each script that tests at length."""
    found = {
        script: json.loads(script.RESULTS.read_text())
        for script in (kills, fuzz, soak)
        if script.RESULTS.exists()
    }
    rows = {kills: _killed, fuzz: _fuzzed, soak: _soaked}
    lines = ["| long test by a script | how often | outcome |", "|---|---|---|"]
    lines += [f"| {' | '.join(rows[script](result))} |" for script, result in found.items()]
    made = [
        f"`{result['environment']['command']}` at commit {result['environment']['commit'][:8]}"
        for script, result in found.items()
    ]
    versions = pages.made_with(found[kills]["environment"])
    return "\n".join([*lines, "", f"{', '.join(made)}; on a CPU, {versions}."])


def _killed(result: dict[str, Any]) -> tuple[str, str, str]:
    return (
        f"SIGKILL, spread over {result['runs']} runs. What the kills hit, sometimes several things "
        f"at once: {_counts(result, 'hit: ')}",
        f"{result['kills']:,} kills",
        f"{result['equal_runs']} of {result['runs']} runs ended with the same bits as an "
        "undisturbed one: parameters, optimizer, every line of metrics.jsonl",
    )


def _fuzzed(result: dict[str, Any]) -> tuple[str, str, str]:
    return (
        "nonsense in the fields of a config, on the command line or in Python",
        f"{result['cases']:,} configs",
        f"each was accepted, or refused in one line. Counts: {_counts(result, '')}",
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
        f"{result['looks']} observations",
        f"resident memory {first} MiB at the start and {last} at the end, slope {slope} ± {error} "
        f"MiB per hour (standard error); {fewest} to {most} open files; at most {seen} checkpoints "
        f"for a setting of {kept} (a save adds one before it removes one)",
    )


def _counts(result: dict[str, Any], prefix: str) -> str:
    """A script's counts under names with this prefix, the most frequent first."""
    counted = {
        name.removeprefix(prefix): count
        for name, count in result.items()
        if name.startswith(prefix) and name not in ("cases", "minutes", "environment")
    }
    largest_first = sorted(counted.items(), key=lambda item: -item[1])
    return "; ".join(f"{name} ({count:,})" for name, count in largest_first)
