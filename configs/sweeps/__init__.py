"""Sweeps, one file each.

In each file, get_config() returns the base config, and sweep(add) adds the trials, each a name and
the overrides of the base config.
"""
