"""Collected examples, read from files and packages into tasks."""
