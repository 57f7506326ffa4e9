"""CogScale's protocol in PyTorch, for the scores of ours that differ from the published ones.

python -m scripts.paper.cogscale_torch    -> results/cogscale_torch.json

With PyTorch's own layers, start, shuffling and optimiser, on the same examples: where it agrees
with our score and not with the published one, what differs is not our code.
"""

import copy
import functools
import importlib
import json
import sys
from importlib.metadata import version
from typing import Any

import jax.numpy as jnp
import numpy as np

from configs import cogscale as protocol
from configs.sweeps import cogscale as sweep
from experiments.datasets.sources import load_task
from experiments.runs.environment import environment
from experiments.system.commandline import Parser, guarded
from experiments.system.files import RunError, write_json
from gru_jax import Task, fields
from gru_jax.streams import TEST, TRAIN, VALIDATION
from gru_jax.tasks.base import UNASKED, Example
from scripts.paper import cogscale, pages
from scripts.paths import ROOT

MEASURED = ROOT / "results" / "cogscale_torch.json"


def main() -> int:
    parser = Parser(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    return guarded(lambda: measure(parser.parse_args().seeds))


def measure(seeds: int) -> int:
    """Trains all models whose score is not within the published deviation.

    Raises:
      RunError: PyTorch is not installed, or the code is not committed.
    """
    fields.integer("--seeds", seeds, 2)
    made = environment()
    if made["modified"] or not made["commit"]:
        raise RunError("commit your changes first: results name the commit they are of")
    found: dict[str, list[float]] = {}
    for row in others():
        name = sweep.trial(row)
        found[name] = [error(row, seed) for seed in range(seeds)]
        print(f"{name}: {cogscale.Score.of(found[name])}", flush=True)
    made["packages"]["torch"] = version("torch")
    kept = {name: made[name] for name in ("commit", "python", "packages")}
    write_json(MEASURED, {"found": found, "made": kept})
    return 0


def others() -> list[dict[str, str]]:
    """The authors' rows that our scores do not agree with."""
    rows = [row for row in sweep.published() if row["task"] in cogscale.tasks(sweep.size(row))]
    pair = lambda row: cogscale.pair(row["task"], sweep.size(row), row["model"])
    return [row for row in rows if not pair(row)[1].agrees(pair(row)[0])]


def error(row: dict[str, str], seed: int) -> float:
    """The error on test examples of one model, which is as wide as ours."""
    torch = _torch()
    torch.manual_seed(seed)
    task: Any = load_task("cogscale", problem=row["task"], difficulty=row["difficulty"])
    splits = task.made(seed)
    width = json.loads(cogscale.runs()[sweep.trial(row)].row["hidden_sizes"])[0]
    layer = getattr(torch.nn, row["model"])(task.input_size, width, batch_first=True)
    readout = torch.nn.Linear(width, task.output_size)
    model = torch.nn.ModuleList([layer, readout])
    inputs = {split: torch.tensor(np.float32(each.inputs)) for split, each in splits.items()}
    outputs = lambda inputs: readout(layer(inputs)[0])

    def judged(split: str) -> float:
        with torch.no_grad():
            said = outputs(inputs[split]).numpy()
        return _error(task.judged_on(split), said, splits[split])

    optimizer = torch.optim.Adam(model.parameters(), lr=float(row["learning_rate"]))
    targets = torch.tensor(np.asarray(splits[TRAIN].targets))
    size = min(10, len(targets))
    least, kept, waited = np.inf, copy.deepcopy(model.state_dict()), 0
    for _ in range(protocol.EPOCHS):
        for batch in torch.randperm(len(targets)).split(size):
            optimizer.zero_grad()
            _loss(torch, outputs(inputs[TRAIN][batch]), targets[batch]).backward()
            optimizer.step()
        found = judged(VALIDATION)
        if found < least:
            least, kept, waited = found, copy.deepcopy(model.state_dict()), 0
        else:
            waited += 1
        if waited == protocol.PATIENCE:
            break
    model.load_state_dict(kept)
    return judged(TEST)


def _loss(torch: Any, outputs: Any, targets: Any) -> Any:
    """The mean over all answers that are asked for."""
    functional = torch.nn.functional
    if targets.ndim == 2:
        flat = outputs.flatten(0, 1), targets.flatten().long()
        return functional.cross_entropy(*flat, ignore_index=UNASKED)
    if targets.dtype.is_floating_point:
        asked = ~targets.isnan().any(-1)
        return functional.mse_loss(outputs[asked], targets[asked])
    asked = (targets != UNASKED).all(-1)
    wanted = targets[asked].float()
    return functional.binary_cross_entropy_with_logits(outputs[asked], wanted)


def _error(task: Task, outputs: np.ndarray, examples: Example) -> float:
    metrics = task.metrics(jnp.asarray(outputs), examples)
    weights = np.asarray(task.weights(examples))
    if "accuracy" in metrics:
        return 1 - float(np.average(metrics["accuracy"], weights=weights))
    return float(np.average(metrics["loss"], weights=weights))


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as missing:
        raise RunError("PyTorch is not installed: pip install -e '.[parity]'") from missing


@functools.cache
def load() -> dict[str, Any]:
    return json.loads(MEASURED.read_text())


def table() -> str:
    """The published score, ours, and PyTorch's own, of the models that PyTorch has trained."""
    found, made = load()["found"], load()["made"]
    trained = [row for row in others() if sweep.trial(row) in found]
    lines = [
        "| task | size | cell | published | ours | PyTorch, same examples |",
        "|---|---|---|--:|--:|--:|",
    ]
    for row in trained:
        theirs, ours = cogscale.pair(row["task"], sweep.size(row), row["model"])
        score = cogscale.Score.of(found[sweep.trial(row)])
        size = f"{row['difficulty']}, {int(row['parameters']):,}"
        name = row["task"].replace("_", " ")
        lines.append(f"| {name} | {size} | {row['model']} | {theirs} | {ours} | {score} |")
    seeds = len(next(iter(found.values())))
    if left := len(others()) - len(trained):
        lines += ["", f"Not trained in PyTorch: {left} more whose scores differ."]
    lines += [
        "",
        f"{seeds} seeds: `python -m scripts.paper.cogscale_torch` at commit {made['commit'][:8]}, "
        f"{pages.made_with(made)}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
