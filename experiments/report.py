"""Makes a page about runs and sweeps. Its flags and its page of --help are `usage.REPORT`."""

import os
import shlex
import sys
from pathlib import Path

from absl import flags

from experiments import usage
from experiments.system import commandline
from gru_jax import FieldError


def main(*folders: str) -> int:
    # Imported only now, because matplotlib reads a file in the current folder.
    from experiments.reports.page import write_report

    output = Path(flags.FLAGS.output or Path(folders[0], "report.html"))
    if flags.FLAGS.output:
        _check_output(output)
    command = shlex.join(["python", "-m", "experiments.report", *sys.argv[1:]])
    write_report(list(map(Path, folders)), output, command, flags.FLAGS.data)
    print(os.path.relpath(output))
    return 0


def _check_output(path: Path) -> None:
    """Raises FieldError, before the work, if the page cannot be written there."""
    if path.is_dir() or not os.access(path.parent, os.W_OK | os.X_OK):
        allowed = "a file in a folder that exists and may be written to"
        raise FieldError("--output", str(path), allowed)


if __name__ == "__main__":
    commandline.run(main, usage.REPORT)
