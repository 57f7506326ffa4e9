"""A run on disk: what its folder holds, and how it is read back."""

from experiments.runs.loading import Run, load

__all__ = ["Run", "load"]
