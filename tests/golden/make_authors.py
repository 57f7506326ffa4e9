"""Makes tests/golden/authors.npz with the authors' own code of four cells, in PyTorch.

python tests/golden/make_authors.py CORNN LEM MINRNNS

The arguments are files of https://github.com/tk-rusch/coRNN (adding/model.py, commit afd8174),
https://github.com/tk-rusch/LEM (src/adding/network.py, commit 833da6b) and
https://github.com/BorealisAI/minRNNs (models/minRNNs.py, commit ff52e9d). Their cells are called
step by step, from random first states, with random weights, in float64.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

B, T, D, H = 2, 5, 2, 3


def module(name: str, path: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def stand_in(name: str, **members: Any) -> None:
    """A module of the authors of which one step needs only these members."""
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name]).update(members)


def positive(x: torch.Tensor) -> torch.Tensor:
    """The paper's g."""
    return torch.where(x >= 0, x + 0.5, x.sigmoid())


def golden(name: str, cell: torch.nn.Module, step: Any, states: int) -> dict[str, np.ndarray]:
    """Outputs, and gradients of the sum of their sines; `step` returns the states, output first."""
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(B, T, D, requires_grad=True)
    first = [torch.rand(B, H, requires_grad=True) for _ in range(states)]
    outputs, now = [], first
    for t in range(T):
        now = step(cell, x[:, t], now)
        outputs.append(now[0])
    stacked = torch.stack(outputs, dim=1)
    stacked.sin().sum().backward()
    leaves = {"x": x, **{f"state{i}": state for i, state in enumerate(first)}}
    leaves |= {key: value for key, value in cell.named_parameters() if value.grad is not None}
    found = {f"{name}/outputs": stacked.detach().numpy()}
    for key, value in leaves.items():
        found[f"{name}/{key}"] = value.detach().numpy()
        found[f"{name}/gradients/{key}"] = value.grad.numpy()
    return found


def one_step(cell: torch.nn.Module, x: torch.Tensor, states: list[torch.Tensor]) -> Any:
    """A step of minGRU or minLSTM, whose state is kept beside its logarithm."""
    _, (h, _) = cell(x[:, None], (states[0][:, None], None))
    return [h[:, 0]]


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    stand_in("models.associative_scan", associative_scan_log=None)
    stand_in("models.helpers", g=positive, log_g=None)
    stand_in("utils.misc", exists=lambda value: value is not None)
    cornn, lem, minimal = (module(f"theirs{i}", path) for i, path in enumerate(sys.argv[1:]))
    both = lambda cell, x, states: cell(x, *states)
    sizes = {"dim": D, "expansion_factor": H / D, "use_init_hidden_state": False}
    lstm = {"forget_bias_init_scale": None, "use_coeff_norm": True}
    arrays = {
        **golden("cornn", cornn.coRNNCell(D, H, dt=0.3, gamma=2.0, epsilon=0.7), both, 2),
        **golden("lem", lem.LEMCell(D, H, dt=0.4), both, 2),
        **golden("min_gru", minimal.minGRU(**sizes), one_step, 1),
        **golden("min_lstm", minimal.minLSTM(**sizes, **lstm), one_step, 1),
    }
    np.savez_compressed(Path(__file__).parent / "authors.npz", **arrays)
