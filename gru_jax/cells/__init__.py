"""The cells: one file a family. `CELLS` maps a config's name to a class."""

from gru_jax.cells.base import Cell, Gate
from gru_jax.cells.gru import GRUCell
from gru_jax.cells.lstm import LSTMCell
from gru_jax.cells.vanilla import VanillaCell

CELLS: dict[str, type[Cell]] = {"gru": GRUCell, "lstm": LSTMCell, "vanilla": VanillaCell}

__all__ = ["CELLS", "Cell", "GRUCell", "Gate", "LSTMCell", "VanillaCell"]
