"""Trials by the problem that they are given, since losses are only comparable within one."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from experiments.figures import style
from experiments.reports.results import Entry
from experiments.settings.schema import by_content

DIFFERENT = ("task", "optimizer", "train")  # sections whose fields are told in a title


def problems(ended: list[Entry]) -> dict[str, list[Entry]]:
    """The entries by task, under the title of each.

    If these are too many for one figure, entries that differ in more than the model are separated.
    """
    groups: dict[str, list[Entry]] = {}
    for group in grouped(ended, task):
        outside = lambda config: {**by_content(config), "model": None, "name": None}
        for part in grouped(group, outside) if len(group) > len(style.COLORS) else [group]:
            groups.setdefault(title(part, ended), []).extend(part)
    return groups


def task(config: dict[str, Any]) -> dict[str, Any]:
    return by_content(config)["task"]


def grouped(found: list[Entry], key: Callable[[dict[str, Any]], Any]) -> list[list[Entry]]:
    """Those whose configs have the same key, in the order of the first of each."""
    groups: dict[str, list[Entry]] = {}
    for entry in found:
        told = json.dumps(key(entry.settings.config), sort_keys=True)
        groups.setdefault(told, []).append(entry)
    return list(groups.values())


def title(group: list[Entry], ended: list[Entry], sections: Iterable[str] = DIFFERENT) -> str:
    """The task, its length, and what else distinguishes the group from other groups."""
    configs = [entry.settings.config for entry in group]
    name = configs[0]["task"]["name"]
    same = [e.settings.config for e in ended if e.settings.config["task"]["name"] == name]
    told = [
        f"{field.replace('_', ' ')} = {Path(value).name if field == 'path' else value}"
        for section in sections
        for field, value in configs[0][section].items()
        if field not in ("name", "length")
        and all(config[section].get(field) == value for config in configs)
        and any(config[section].get(field) != value for config in same)
    ]
    length = group[0].settings.experiment.task.length
    return ", ".join([name.replace("_", " "), f"T = {length}", *told])
