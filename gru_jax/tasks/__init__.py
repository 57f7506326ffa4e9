"""The tasks, one file each. `TASKS` maps the names that configs use to classes."""

from gru_jax.tasks.adding import Adding
from gru_jax.tasks.base import Batch, Classification, Example, Regression, Task
from gru_jax.tasks.bracket_counting import BracketCounting
from gru_jax.tasks.copy_first import CopyFirst
from gru_jax.tasks.copy_memory import CopyMemory
from gru_jax.tasks.cumulative_sum import CumulativeSum
from gru_jax.tasks.flip_flop import FlipFlop
from gru_jax.tasks.formal_language import FormalLanguage
from gru_jax.tasks.mean_comparison import MeanComparison
from gru_jax.tasks.savings import Savings
from gru_jax.tasks.selective_copy import SelectiveCopy
from gru_jax.tasks.temporal_order import TemporalOrder
from gru_jax.tasks.variable_copy import VariableCopy
from gru_jax.tasks.verdict import Verdict
from gru_jax.tasks.word_problem import WordProblem

TASKS: dict[str, type[Task]] = {
    "adding": Adding,
    "bracket_counting": BracketCounting,
    "copy_first": CopyFirst,
    "copy_memory": CopyMemory,
    "cumulative_sum": CumulativeSum,
    "flip_flop": FlipFlop,
    "formal_language": FormalLanguage,
    "mean_comparison": MeanComparison,
    "savings": Savings,
    "selective_copy": SelectiveCopy,
    "temporal_order": TemporalOrder,
    "variable_copy": VariableCopy,
    "verdict": Verdict,
    "word_problem": WordProblem,
}

__all__ = [
    "TASKS",
    "Adding",
    "Batch",
    "BracketCounting",
    "Classification",
    "CopyFirst",
    "CopyMemory",
    "CumulativeSum",
    "Example",
    "FlipFlop",
    "FormalLanguage",
    "MeanComparison",
    "Regression",
    "Savings",
    "SelectiveCopy",
    "Task",
    "TemporalOrder",
    "VariableCopy",
    "Verdict",
    "WordProblem",
]
