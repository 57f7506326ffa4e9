"""How much time packing trials into one population saves: python -m scripts.endurance.packing

Runs sweeps with and without packing in turn, and writes the seconds to results/packing.json.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "packing.json"
REPEATS, TRIALS = 3, 8
SIZES = ((16, 20, 500), (64, 100, 100))  # units, time steps, updates
OPTIONS = {"apart": "--nopack", "together": "--pack"}
SWEEP = """
from configs import adding

def get_config():
    config = adding.get_config()
    config.model.hidden_sizes = ({units},)
    config.task.length = {length}
    config.train.steps = {steps}
    config.train.target = -1.0  # never reached
    return config

def sweep(add):
    for index in range({trials}):
        add(f"rate{{index}}", {{"optimizer.learning_rate": 0.001 * (index + 1)}})
"""


def main() -> int:
    Parser(__doc__).parse_args()
    found = [measure(*size) for size in SIZES]
    write_json(RESULTS, {"sizes": found, "environment": environment()})
    return 0


def measure(units: int, length: int, steps: int) -> dict[str, Any]:
    """Seconds of the whole command, both ways in turn, several times."""
    size = {"units": units, "length": length, "steps": steps, "trials": TRIALS}
    seconds: dict[str, list[float]] = {name: [] for name in OPTIONS}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep_file.py"
        file.write_text(SWEEP.format(**size))
        for repeat in range(REPEATS):
            for name, option in OPTIONS.items():
                workdir = Path(folder) / f"{name}{repeat}"
                program = [sys.executable, "-m", "experiments.sweep", f"--config={file}"]
                began = time.perf_counter()
                subprocess.run(
                    [*program, f"--workdir={workdir}", option],
                    check=True,
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                )
                seconds[name].append(round(time.perf_counter() - began, 1))
                print(f"{units} units, T = {length}, {name}: {seconds[name][-1]} s", flush=True)
    return {**size, **seconds}


if __name__ == "__main__":
    sys.exit(guarded(main))
