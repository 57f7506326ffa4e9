"""The tasks: one file each. `TASKS` maps a config's name to a class."""

from gru_jax.tasks.adding import Adding
from gru_jax.tasks.base import Batch, Example, Task
from gru_jax.tasks.copy_memory import CopyMemory
from gru_jax.tasks.flip_flop import FlipFlop

TASKS: dict[str, type[Task]] = {
    "adding": Adding,
    "copy_memory": CopyMemory,
    "flip_flop": FlipFlop,
}

__all__ = ["TASKS", "Adding", "Batch", "CopyMemory", "Example", "FlipFlop", "Task"]
