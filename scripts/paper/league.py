"""One page with the league of all committed sweeps: python -m scripts.paper.league PAGE.html

A row is a cell with its start, a column a problem of a sweep, since sweeps differ in their budgets
and in the sizes of their models.
"""

import sys
from pathlib import Path

from markupsafe import Markup

from experiments.figures import families
from experiments.reports.league import Candidate, League, league
from experiments.reports.page import rendered
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_text
from gru_jax import fields
from scripts.paper import results
from scripts.paper.results import Result


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("page", type=Path, metavar="PAGE.html")
    chosen = parser.parse_args()
    return guarded(lambda: write(chosen.page))


def write(path: Path, home: str = "") -> int:
    """Writes the page, with a link to the page from which a reader comes, if there is one."""
    found = whole()
    counts = ((found.lines, "model"), (found.problems, "problem"))
    told = Markup(", ".join(fields.counted(len(each), noun) for each, noun in counts))
    if home:
        told += Markup('. <a href="{}">Back to the pages</a>').format(home)
    write_text(
        path,
        rendered(
            title="All results",
            subtitle=told,
            league=found,
            command=f"python -m scripts.paper.league {path.name}",
        ),
    )
    return 0


def whole() -> League:
    """All trials of all sweeps; those that compare the most models come first."""
    sweeps = sorted(results.SWEEPS, key=lambda sweep: -len(results.variants(sweep)))
    return league(candidate(each, sweep) for sweep in sweeps for each in results.load(sweep))


def candidate(result: Result, sweep: str) -> Candidate:
    row = result.row
    cell, title = families.title(row["cell"]), results.variants(sweep)[result.variant]
    problem, length = result.problem
    return Candidate(
        trial=row["trial"],
        row=title if title.startswith(cell) else f"{cell}, {title}",
        problem=f"{sweep}: {problem}, T = {length}",
        rate=f"{result.rate:g}",
        parameters=row["parameters"],
        budget=row["budget"],
        aim=row.get("train.target") is not None,
        baseline=row["baseline_loss"],
        # Where it was run is of no use to others.
        command=f"{row['command'].partition(' --workdir')[0]} --only={row['trial']}",
        curve=row["curve"],
        summary=row["summary"],
    )


if __name__ == "__main__":
    sys.exit(main())
