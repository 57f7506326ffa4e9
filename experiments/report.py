"""Makes one page about runs and sweeps: python -m experiments.report DIR [DIR...]"""

import os
import shlex
import sys
from pathlib import Path

from experiments.reports.page import write_report
from experiments.system import commandline
from experiments.system.arguments import written_out
from experiments.system.own import imported


def main() -> int:
    parser = commandline.Parser(__doc__)
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="the folder of a run or a sweep"
    )
    parser.add_argument(
        "--output", type=Path, help="the page to write (default: report.html in the first DIR)"
    )
    parser.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="FILE",
        help="a Python file that registers your own cells or tasks; may be repeated",
    )
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="FILE",
        help="where the runs' data file lies now (default: where it lay); may be repeated",
    )
    chosen = parser.parse_args(written_out(sys.argv)[1:])
    for file in chosen.imports:
        imported(file)
    output = chosen.output or chosen.folders[0] / "report.html"
    command = shlex.join(["python", "-m", "experiments.report", *sys.argv[1:]])
    write_report(chosen.folders, output, command, chosen.data)
    print(os.path.relpath(output))
    return 0


if __name__ == "__main__":
    sys.exit(commandline.guarded(main))
