"""The cells, one file for each family. `CELLS` maps the names that configs use to classes."""

from gru_jax.cells.base import Cell, Gate
from gru_jax.cells.gru import GRUCell
from gru_jax.cells.lstm import LSTMCell
from gru_jax.cells.vanilla import VanillaCell

CELLS: dict[str, type[Cell]] = {"gru": GRUCell, "lstm": LSTMCell, "vanilla": VanillaCell}

__all__ = ["CELLS", "Cell", "GRUCell", "Gate", "LSTMCell", "VanillaCell"]
