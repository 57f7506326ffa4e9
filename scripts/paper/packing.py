"""The table of docs/sweeps.md: how much faster trials are that are trained together."""

import json
import statistics

from scripts.endurance.packing import OPTIONS, REPEATS, RESULTS
from scripts.paper import pages


def table() -> str:
    """What was measured, as a Markdown table."""
    result = json.loads(RESULTS.read_text())
    lines = ["| trials | one by one | packed | speed-up |", "|---|--:|--:|--:|"]
    for size in result["sizes"]:
        apart, together = (statistics.median(size[name]) for name in OPTIONS)
        spread = lambda name, size=size: f"{min(size[name]):.0f}..{max(size[name]):.0f} s"
        lines.append(
            f"| {size['trials']} of 8 seeds, {size['units']} units, T = {size['length']}, "
            f"{size['steps']} steps | {spread('apart')} | {spread('together')} "
            f"| {apart / together:.2f} |"
        )
    made = result["environment"]
    return "\n".join(
        [
            *lines,
            "",
            f"Whole commands, {REPEATS} times in turn (fastest..slowest, ratio of the medians), "
            f"with a worker a CPU on {made['processor']}: `{made['command']}` at commit "
            f"{made['commit'][:8]}, {pages.made_with(made)}.",
        ]
    )
