"""Configurations of runs and sweeps: data, no code that computes."""
