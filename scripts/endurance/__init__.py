"""Programs that try for a long time to break a run, or time whole commands."""
