"""Times the tests: python -m scripts.endurance.suite

Clones the committed code into an empty folder, installs what it needs, and runs `make quick` and
`make test` there, with nothing compiled before. Writes the seconds and what pytest counted to
results/suite.json. Nothing else should run meanwhile.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_json
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "suite.json"
TARGETS = ("quick", "test")
COUNTED = re.compile(r"(\d+) passed.* in ([\d.]+)s")


def main() -> int:
    Parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        subprocess.run(["make", "venv"], cwd=clone, check=True)
        found = {target: run(clone, target) for target in TARGETS}
    write_json(RESULTS, {**found, "cores": os.cpu_count(), "environment": environment()})
    return 0


def run(clone: Path, target: str) -> dict[str, Any]:
    """How long one target took, and how many tests passed.

    Raises:
      RunError: a test failed.
    """
    began = time.monotonic()
    printed, pipe = "", subprocess.PIPE
    command = ["make", target]
    with subprocess.Popen(
        command, cwd=clone, stdout=pipe, stderr=subprocess.STDOUT, text=True
    ) as made:
        for line in made.stdout or ():
            print(line, end="", flush=True)
            printed += line
    seconds = round(time.monotonic() - began, 1)
    counted = COUNTED.search(printed)
    if made.returncode or counted is None:
        raise RunError(f"make {target} failed")
    print(f"make {target}: {counted[0]}, {seconds} s in all", flush=True)
    return {"seconds": seconds, "passed": int(counted[1])}


if __name__ == "__main__":
    sys.exit(guarded(main))
