"""Writes metrics as JSON lines and as TensorBoard events."""

import json
import math
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event
from tensorboardX.proto.summary_pb2 import Summary

from experiments.runs.records import read_metrics
from experiments.system.files import write_text

Row = dict[str, Any]
IDENTITY = ("step", "split", "seed")


class MetricsFile:
    """metrics.jsonl, and TensorBoard events derived from it.

    Opening it at a step drops everything of later steps: a resumed run writes that again.
    """

    def __init__(self, workdir: Path, step: int):
        rows = [row for row in read_metrics(workdir) if row["step"] <= step]
        self.lines = len(rows)
        path = workdir / "metrics.jsonl"
        write_text(path, "".join(map(_line, rows)))
        self._file = path.open("ab", buffering=0)  # so that closing it writes nothing
        for events in workdir.glob("events.out.tfevents.*"):
            events.unlink()
        # Not SummaryWriter, whose thread would die with a traceback on a full disk.
        self._events = EventsWriter(str(workdir / "events"))
        self._add_events(rows)

    def write(self, rows: Iterable[Row]) -> None:
        """Adds lines and flushes them to disk, before any checkpoint of their step."""
        rows = list(rows)
        left = memoryview("".join(map(_line, rows)).encode())
        while left:
            left = left[self._file.write(left) :]
        os.fsync(self._file.fileno())
        self.lines += len(rows)
        self._add_events(rows)

    def _add_events(self, rows: list[Row]) -> None:
        for row in rows:
            for name in row.keys() - set(IDENTITY):
                value = math.nan if row[name] is None else row[name]
                # Not through tensorboardX.summary, which warns of every value that is not finite.
                tag = f"{row['split']}_{name}/seed_{row['seed']}"
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                self._events.write_event(
                    Event(step=row["step"], wall_time=time.time(), summary=summary)
                )
        self._events.flush()

    def close(self) -> None:
        self._file.close()
        self._events.close()


def _line(row: Row) -> str:
    return json.dumps(row) + "\n"


def rows(
    step: int,
    split: str,
    seeds: list[int],
    metrics: dict[str, np.ndarray],
    learning: np.ndarray,
) -> list[Row]:
    """One row per seed that was still learning. JSON's null stands for NaN and infinity."""
    listed = {name: values.tolist() for name, values in metrics.items()}
    value = lambda number: number if math.isfinite(number) else None
    return [
        {
            "step": step,
            "split": split,
            "seed": seed,
            **{name: value(values[index]) for name, values in listed.items()},
        }
        for index, seed in enumerate(seeds)
        if learning[index]
    ]
