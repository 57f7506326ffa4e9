"""Shows the gates of a trained run: python -m experiments.gates --run=WORKDIR [--seed=0]

Draws every gate of one seed over one example, with the units ordered by their time scale, and
writes gates.json: the means of every gate for each seed, by token and by step.
"""

from pathlib import Path
from typing import Any

import rich.table
from absl import flags

from experiments.figures.gates import NAMED, draw
from experiments.measurements.gates import available, means, record
from experiments.runs.loading import restored
from experiments.runs.records import read_config
from experiments.settings.resolution import resolve
from experiments.stats.outcomes import quartiles
from experiments.system import commandline, terminal
from experiments.system.files import write_bytes, write_json
from gru_jax import fields
from gru_jax.devices import use_cpu_cores


def table(found: dict[str, Any]) -> rich.table.Table:
    """The means by token, or over all steps: median and range over the seeds."""
    told = {
        name: gate.get("by_token", {"every input": gate["all"]}) for name, gate in found.items()
    }
    caption = "mean over units and steps: median (lowest..highest) over the seeds"
    if (more := len(next(iter(told.values()))) - NAMED) > 0:
        caption += f"; {more} more tokens in gates.json"
    shown = rich.table.Table(caption=caption)
    shown.add_column("token")
    for name in found:
        shown.add_column(f"{name} gate", justify="right")
    for token in list(next(iter(told.values())))[:NAMED]:
        cells = [by_token[token] for by_token in told.values()]
        shown.add_row(
            fields.printable(token),
            *(f"{quartiles(v)[1]:.2f} ({min(v):.2f}..{max(v):.2f})" for v in cells),
        )
    return shown


def define_flags() -> None:
    flags.DEFINE_string("run", None, "the run's folder", required=True)
    commandline.define_data()
    flags.DEFINE_integer("example", 0, "which example of the evaluation set to draw")
    flags.DEFINE_integer("seed", 0, "which seed of the population to draw, counted from 0")
    flags.DEFINE_integer("layer", 0, "which layer, counted from 0 at the input")


def main() -> int:
    options = flags.FLAGS
    workdir = Path(options.run)
    settings = resolve(read_config(workdir, options.data))
    use_cpu_cores(*settings.mesh_sizes)
    run = restored(workdir, settings)
    fields.integer("--example", options.example, 0, available(run.task) - 1)
    fields.integer("--seed", options.seed, 0, len(settings.seeds) - 1)
    recorded = record(run, options.layer)
    found = means(run.task, recorded)
    write_json(workdir / "gates.json", found)
    write_bytes(workdir / "gates.png", draw(run, recorded, options.example, options.seed))
    terminal.console().print(table(found))
    print(f"figure: {workdir / 'gates.png'}; means by step: {workdir / 'gates.json'}")
    return 0


if __name__ == "__main__":
    commandline.run(main, define_flags)
