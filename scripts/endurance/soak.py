"""Trains for a long time with frequent checkpoints, and watches memory, files and checkpoints.

python -m scripts.endurance.soak --minutes=30     writes what was seen to results/soak.json
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import write_json
from gru_jax import fields
from scripts.paths import ROOT

RESULTS = ROOT / "results" / "soak.json"
KEPT = 3
WARM_UP = 10  # minutes, until everything is compiled and every thread's heap has its full size
CONFIG = {
    "task.length": 20,
    "model.hidden_sizes": "(32,)",
    "population.seeds": 4,
    "train.steps": 10**8,
    "train.log_every": 5,
    "train.checkpoint_every": 10,
    "train.checkpoints_kept": KEPT,
    "train.target": -1.0,  # never reached
}


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="after the warm-up")
    parser.add_argument("--every", type=float, default=5, help="seconds between two observations")
    chosen = parser.parse_args()
    fields.real("--minutes", chosen.minutes, above=0)
    fields.real("--every", chosen.every, above=0)
    with tempfile.TemporaryDirectory() as folder:
        result = soak(Path(folder) / "run", chosen.minutes, chosen.every)
    print(json.dumps(result, indent=1))
    write_json(RESULTS, {**result, "environment": environment()})
    fewest, most = result["open_files"]
    # A save adds the new one before it removes the oldest.
    return int(most - fewest > 2 or result["checkpoints_kept"][1] > KEPT + 1)


def soak(workdir: Path, minutes: float, every: float) -> dict[str, Any]:
    """Runs the real command for this long after a warm-up; returns what its process held."""
    overrides = [f"--config.{name}={value}" for name, value in CONFIG.items()]
    command = [
        *(sys.executable, "-m", "experiments.train"),
        *("--config=configs/adding.py", f"--workdir={workdir}", *overrides),
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        began, seen = time.monotonic(), []
        while time.monotonic() - began < 60 * (WARM_UP + minutes):
            time.sleep(every)
            assert process.poll() is None, "the run ended by itself"
            seen.append((time.monotonic() - began, *_held(process.pid), _checkpoints(workdir)))
        process.send_signal(signal.SIGTERM)
        process.wait()
    seen = [look for look in seen if look[0] > 60 * WARM_UP]
    seconds, memory, files, checkpoints = np.array(seen).T
    slope = stats.linregress(seconds / 3600, memory)
    summary = json.loads((workdir / "summary.json").read_text())
    return {
        "minutes": minutes,
        "warm_up": WARM_UP,
        "looks": len(seconds),
        "steps": summary["step"],
        "evaluations": summary["step"] // CONFIG["train.log_every"],
        "checkpoints": summary["step"] // CONFIG["train.checkpoint_every"],
        "memory_mib": [round(value, 1) for value in (memory[0], memory[-1], memory.max())],
        "slope_mib_per_hour": [round(slope.slope, 2), round(slope.stderr, 2)],
        "open_files": [int(files.min()), int(files.max())],
        "checkpoints_kept": [KEPT, int(checkpoints.max())],
        "exit_status": process.returncode,
    }


def _held(pid: int) -> tuple[float, int]:
    """Resident memory in MiB, and open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(resident.split()[1]) / 1024, len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _checkpoints(workdir: Path) -> int:
    folder = workdir / "checkpoints"
    return len([path for path in folder.glob("*") if path.name.isdecimal()])


if __name__ == "__main__":
    sys.exit(guarded(main))
