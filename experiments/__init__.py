"""The programs: `python -m experiments.NAME`, and the same as functions for a notebook."""
