"""The table of docs/reliability.md, from the results of long tests, and docs/faults.md."""

import json
from typing import Any

from scripts.endurance import fuzz, fuzz_calls, kills, mutants, soak, suite
from scripts.endurance.faults import FAILED, PASSED, read
from scripts.paper import pages


def table() -> str:
    """One row for each script that tests at length."""
    found = {
        script: json.loads(script.RESULTS.read_text())
        for script in (kills, fuzz, fuzz_calls, soak, mutants)
        if script.RESULTS.exists()
    }
    rows = {
        kills: _killed,
        fuzz: _fuzzed,
        fuzz_calls: _called,
        soak: _soaked,
        mutants: _planted,
    }
    lines = ["| long test by a script | how often | outcome |", "|---|---|---|"]
    lines += [f"| {' | '.join(rows[script](result))} |" for script, result in found.items()]
    made = [
        f"`{result['environment']['command']}` at {_commits(script, result)}"
        for script, result in found.items()
    ]
    versions = pages.made_with(found[kills]["environment"])
    return "\n".join([*lines, "", f"{', '.join(made)}; on a CPU, {versions}."])


def _commits(script: Any, result: dict[str, Any]) -> str:
    if script is mutants:
        return "the commits of [faults.md](faults.md)"
    made = result["environment"]
    return f"commit {made['commit'][:8]}" + " (with changes not committed)" * made["modified"]


def times() -> str:
    """How long the tests take, for README and CONTRIBUTING."""
    found = json.loads(suite.RESULTS.read_text())
    whole, quick = found["test"], found["quick"]
    made = found["environment"]
    return (
        f"`make test` runs {whole['passed']:,} tests in {whole['seconds'] / 60:.0f} minutes, and "
        f"`make quick` {quick['passed']:,} of them in {quick['seconds']:.0f} seconds, on "
        f"{found['cores']} CPU cores with nothing compiled before (`{made['command']}` at commit "
        f"{made['commit'][:8]})."
    )


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


def _called(result: dict[str, Any]) -> tuple[str, str, str]:
    return (
        "nonsense as inputs, lengths, resets and carries of cells, `RNN` and `SequenceModel`",
        f"{result['cases']:,} calls",
        "each equals a loop in NumPy, or was refused in one sentence. Counts: "
        f"{_counts(result, '')}",
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


def _planted(result: dict[str, Any]) -> tuple[str, str, str]:
    rows = result["faults"]
    survivors = [f"{row['why']} (`{row['file']}`)" for row in rows if row["test"] is None]
    caught, quick = len(rows) - len(survivors), sum(row["quick"] is not None for row in rows)
    missed = "; not caught: " + " ".join(map(_cell, survivors)) if survivors else ""
    return (
        "a small fault in the code, one at a time ([all of them](faults.md))",
        f"{len(rows)} faults{_left(rows)}",
        f"{caught} are caught by `make test`, {quick} of these by `make quick`{missed}",
    )


def _left(rows: list[dict[str, Any]]) -> str:
    """How many of the list were not tried."""
    left = len(read(mutants.LIST)) - len(rows)
    return f"; not tried: {left} more of the list" if left > 0 else ""


def faults() -> str:
    """docs/faults.md: every fault that was planted, and the test that caught it."""
    result = json.loads(mutants.RESULTS.read_text())
    left = _left(result["faults"])
    lines = [
        "# Faults that the tests catch",
        "",
        "Each was planted by itself, by `python -m scripts.endurance.mutants`; the list is",
        "`scripts/endurance/mutants.toml`. Of the tests that catch it, the first to fail is named.",
        *([f"Here are {len(result['faults'])} faults{left}."] if left else []),
        "",
        "<!-- faults -->",
        "| file | what is wrong | caught by | in `make quick` |",
        "|---|---|---|---|",
    ]
    for row in result["faults"]:
        by = "nothing" if row["test"] is None else f"`{row['test']}`"
        ended = "" if row["how"] in (PASSED, FAILED) else f" ({row['how']})"
        quick = "" if row["quick"] is None else "yes"
        lines.append(f"| `{row['file']}` | {_cell(row['why'])} | {_cell(by + ended)} | {quick} |")
    commits = sorted({(row["commit"] or "none")[:8] for row in result["faults"]})
    versions = pages.made_with(result["environment"])
    lines += ["", f"At commit {', '.join(commits)}; {versions}.", "<!-- end of faults -->", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text that may stand in a cell of a table."""
    return text.replace("|", "\\|")


def _counts(result: dict[str, Any], prefix: str) -> str:
    """A script's counts under names with this prefix, the most frequent first."""
    counted = {
        name.removeprefix(prefix): count
        for name, count in result.items()
        if name.startswith(prefix) and name not in ("cases", "minutes", "environment")
    }
    largest_first = sorted(counted.items(), key=lambda item: -item[1])
    return "; ".join(f"{name} ({count:,})" for name, count in largest_first)
