"""The cells, one file for each family. `CELLS` maps the names that configs use to classes."""

from gru_jax.cells.antisymmetric import AntisymmetricCell
from gru_jax.cells.base import Cell, Gate
from gru_jax.cells.bistable import BRCCell, NBRCCell
from gru_jax.cells.fastgrnn import FastGRNNCell
from gru_jax.cells.gru import GRUCell
from gru_jax.cells.independent import IndRNNCell
from gru_jax.cells.janet import JANETCell
from gru_jax.cells.jozefowicz import MUT1Cell, MUT3Cell
from gru_jax.cells.layer_norm import LayerNormGRUCell, LayerNormLSTMCell
from gru_jax.cells.lem import LEMCell
from gru_jax.cells.li_gru import LiGRUCell
from gru_jax.cells.lru import LRUCell
from gru_jax.cells.lstm import LSTMCell
from gru_jax.cells.mgu import MGUCell
from gru_jax.cells.minimal import MinGRUCell, MinLSTMCell
from gru_jax.cells.orthogonal import ExpRNNCell
from gru_jax.cells.oscillatory import CoRNNCell
from gru_jax.cells.slstm import SLSTMCell
from gru_jax.cells.vanilla import VanillaCell

CELLS: dict[str, type[Cell]] = {
    "gru": GRUCell,
    "lstm": LSTMCell,
    "vanilla": VanillaCell,
    "min_gru": MinGRUCell,
    "min_lstm": MinLSTMCell,
    "lru": LRUCell,
    "ln_gru": LayerNormGRUCell,
    "ln_lstm": LayerNormLSTMCell,
    "li_gru": LiGRUCell,
    "mgu": MGUCell,
    "mut1": MUT1Cell,
    "mut3": MUT3Cell,
    "janet": JANETCell,
    "brc": BRCCell,
    "nbrc": NBRCCell,
    "fastgrnn": FastGRNNCell,
    "slstm": SLSTMCell,
    "lem": LEMCell,
    "cornn": CoRNNCell,
    "antisymmetric": AntisymmetricCell,
    "exprnn": ExpRNNCell,
    "indrnn": IndRNNCell,
}

__all__ = [
    "AntisymmetricCell",
    "BRCCell",
    "Cell",
    "CoRNNCell",
    "ExpRNNCell",
    "FastGRNNCell",
    "GRUCell",
    "Gate",
    "IndRNNCell",
    "JANETCell",
    "LEMCell",
    "LRUCell",
    "LSTMCell",
    "LayerNormGRUCell",
    "LayerNormLSTMCell",
    "LiGRUCell",
    "MGUCell",
    "MUT1Cell",
    "MUT3Cell",
    "MinGRUCell",
    "MinLSTMCell",
    "NBRCCell",
    "SLSTMCell",
    "VanillaCell",
]
