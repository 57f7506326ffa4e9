"""A small, fast, exact laboratory for gated recurrence in JAX and Flax."""

from gru_jax.bptt import scan
from gru_jax.cells import CELLS, Cell, Gate, GRUCell, LSTMCell, VanillaCell
from gru_jax.fields import FieldError
from gru_jax.model import SequenceModel, parameter_count
from gru_jax.optimizer import Optimizer
from gru_jax.population import TrainState
from gru_jax.recurrence import RNN
from gru_jax.regularizers import Regularizer
from gru_jax.tasks import TASKS, Adding, CopyMemory, Task
from gru_jax.training import Experiment

__version__ = "0.2.0"

__all__ = [
    "CELLS",
    "RNN",
    "TASKS",
    "Adding",
    "Cell",
    "CopyMemory",
    "Experiment",
    "FieldError",
    "GRUCell",
    "Gate",
    "LSTMCell",
    "Optimizer",
    "Regularizer",
    "SequenceModel",
    "Task",
    "TrainState",
    "VanillaCell",
    "parameter_count",
    "scan",
]
