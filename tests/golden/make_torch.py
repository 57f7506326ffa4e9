"""Makes tests/golden/torch.npz with PyTorch, so that parity is tested where it is not installed.

python tests/golden/make_torch.py
"""

from pathlib import Path

import numpy as np
import torch

LAYERS = {"gru": torch.nn.GRU, "lstm": torch.nn.LSTM, "vanilla": torch.nn.RNN}


def golden() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    found = {}
    for name, make in LAYERS.items():
        layer = make(3, 4, num_layers=2, bidirectional=True, batch_first=True)
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        x = torch.randn(2, 5, 3, requires_grad=True)
        outputs, _ = layer(x)
        outputs.sin().sum().backward()
        for key, parameter in layer.named_parameters():
            found[f"{name}/weights/{key}"] = parameter.detach().numpy()
            found[f"{name}/gradients/{key}"] = parameter.grad.numpy()
        data = {"x": x.detach(), "outputs": outputs.detach(), "for_x": x.grad}
        found |= {f"{name}/data/{key}": value.numpy() for key, value in data.items()}
    return found


if __name__ == "__main__":
    np.savez_compressed(Path(__file__).parent / "torch.npz", **golden())
