"""The tasks: one file each. `TASKS` maps a config's name to a class."""

from gru_jax.tasks.adding import Adding
from gru_jax.tasks.base import Batch, Example, Task
from gru_jax.tasks.copy_memory import CopyMemory

TASKS: dict[str, type[Task]] = {"adding": Adding, "copy_memory": CopyMemory}

__all__ = ["TASKS", "Adding", "Batch", "CopyMemory", "Example", "Task"]
