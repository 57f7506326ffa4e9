"""How long a user waits for the first metric: python -m scripts.endurance.startup

Measures the seconds from the command to the first line of metrics.jsonl, first with an empty
compilation cache and then with the cache that this filled, several times in turn. Writes
results/startup.json.
"""

import os
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

RESULTS = ROOT / "results" / "startup.json"
REPEATS, PATIENCE = 5, 300.0  # seconds
CONFIG = "configs/adding.py"


def main() -> int:
    Parser(__doc__).parse_args()
    seconds: dict[str, list[float]] = {"empty": [], "filled": []}
    for repeat in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            for name, found in seconds.items():
                found.append(round(first_metric(Path(folder), name), 1))
                print(f"{repeat + 1}/{REPEATS}, cache {name}: {found[-1]} s", flush=True)
    write_json(RESULTS, {"config": CONFIG, "seconds": seconds, "environment": environment()})
    return 0


def first_metric(folder: Path, run: str, *options: str) -> float:
    """Seconds until a run in `folder` has written a metric. The run is then stopped.

    Raises:
      RunError: it ended without one, or wrote none within `PATIENCE` seconds.
    """
    metrics = folder / run / "metrics.jsonl"
    program: Any = [sys.executable, "-m", "experiments.train", f"--config={CONFIG}", *options]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(folder / "cache")}
    began = time.perf_counter()
    with subprocess.Popen(
        [*program, f"--workdir={metrics.parent}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | cache,
    ) as process:
        while not (metrics.exists() and metrics.stat().st_size):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE:
                process.kill()
                raise RunError(f"no metric from {' '.join(program)}")
            time.sleep(0.01)
        seconds = time.perf_counter() - began
        process.terminate()  # it saves and ends, so that its compiled programs are cached
    return seconds


if __name__ == "__main__":
    sys.exit(guarded(main))
