"""Sweeps: each file has get_config(), the base, and sweep(add), which adds trials to it."""
