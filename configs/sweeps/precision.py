"""Operands of matrix products in float32 and in bfloat16: the adding problem, T = 200, with a GRU.

python -m experiments.sweep --config=configs/sweeps/precision.py
"""

from ml_collections import ConfigDict

from configs.ablations import ablation, base
from configs.variants import Variants

CELLS: Variants = {name: {"model.dtype": name} for name in ("float32", "bfloat16")}


def get_config() -> ConfigDict:
    return base("precision")


def sweep(add) -> None:
    ablation(add, {"adding": (200,)}, lambda _: CELLS, reference="float32")
