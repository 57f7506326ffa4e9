"""Shows what the gates of a run do. Its flags and its page of --help are `usage.GATES`."""

from pathlib import Path
from typing import Any

import rich.table
from absl import flags

from experiments import usage
from experiments.measurements.gates import NAMED, available, means, record
from experiments.runs.loading import restored
from experiments.runs.records import read_config
from experiments.settings.resolution import resolve
from experiments.stats.outcomes import quartiles
from experiments.system import commandline, terminal
from experiments.system.files import finite, write_bytes, write_json
from gru_jax import fields
from gru_jax.devices import use_cpu_cores


def table(found: dict[str, Any]) -> rich.table.Table:
    """The means by token, or over all steps: median and range over the seeds."""
    told = {
        name: gate.get("by_token", {"every input": gate["all"]}) for name, gate in found.items()
    }
    caption = "mean over units and steps: median (lowest..highest) over the seeds"
    if (more := len(next(iter(told.values()))) - NAMED) > 0:
        caption += f"; {fields.counted(more, 'more token')} in gates.json"
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


def main() -> int:
    options = flags.FLAGS
    workdir = Path(options.run)
    settings = resolve(read_config(workdir, options.data))
    use_cpu_cores(*settings.mesh_sizes)
    run = restored(workdir, settings)
    examples = available(run.task)
    if options.examples is not None:
        examples = fields.integer("--examples", options.examples, 1, examples)
    fields.integer("--example", options.example, 0, examples - 1)
    fields.place("--seed", options.seed, len(settings.seeds), "the run has one seed")
    recorded = record(run, options.layer, examples)
    found = means(run.task, recorded)
    write_json(workdir / "gates.json", finite(found))
    # Imported only now, because matplotlib reads a file in the current folder.
    from experiments.figures.gates import draw

    write_bytes(workdir / "gates.png", draw(run, recorded, options.example, options.seed))
    terminal.console().print(table(found))
    print(f"figure: {workdir / 'gates.png'}; means by step: {workdir / 'gates.json'}")
    return 0


if __name__ == "__main__":
    commandline.run(main, usage.GATES)
