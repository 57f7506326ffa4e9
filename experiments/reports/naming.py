"""What a trial is called in the league: its name without the words for its problem and its rate."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiments.figures import families
from experiments.reports.problems import grouped, task
from experiments.reports.results import Entry
from experiments.settings.schema import by_content


def rows(found: list[Entry]) -> dict[Entry, str]:
    """The row of each trial: "gru_chrono" for adding-T100-gru_chrono-lr0.01.

    Trials that differ in the learning rate alone are in one row. So are those of one model on
    several problems, also where its width or its longest memory depends on the problem, and where
    they lie in several folders. Two models on one problem are in different rows, and so are two
    models of one name in several folders.
    """
    told: dict[Entry, str] = {}
    folders: dict[Path, list[Entry]] = {}
    for entry in found:
        folders.setdefault(_folder(entry), []).append(entry)
    for trials in folders.values():
        dropped = _words_for_rates(trials) | _words_for_problems(trials)
        for entry in trials:
            kept = [word for word in _words(entry) if word not in dropped]
            told[entry] = "-".join(kept) if entry.sweep else ""
        told |= _by_cell([entry for entry in trials if not told[entry]])
    if len(folders) > 1:
        shared, names = _shared(told) | _ambiguous(told), distinct(folders)
        told |= {e: f"{names[_folder(e)]}/{row}" for e, row in told.items() if row in shared}
    shared = _shared(told)
    for group in grouped(found, but_rate):
        told |= {entry: group[0].name for entry in group if told[entry] in shared}
    return told


def distinct(folders: Iterable[Path]) -> dict[Path, str]:
    """The names of folders, with as many folders above them as it takes to tell all apart."""
    parts = {folder: folder.resolve().parts for folder in folders}
    different = {*parts.values()}
    counts = range(1, max(map(len, different)))
    last = next((n for n in counts if len({p[-n:] for p in different}) == len(different)), 0)
    return {folder: "/".join(each[-last:]) for folder, each in parts.items()}


def but_rate(config: dict[str, Any]) -> dict[str, Any]:
    """What trials have in common of which the league shows the one with the best rate."""
    return {**by_content(config), "name": None, "optimizer": _optimizer(config)}


def _model(config: dict[str, Any]) -> dict[str, Any]:
    """What a model has in common on several problems, but for what depends on these."""
    model = {**config["model"], "hidden_sizes": len(config["model"]["hidden_sizes"])}
    return {"model": model, "optimizer": _optimizer(config)}


def _kind(config: dict[str, Any]) -> dict[str, Any]:
    """A model but for its width, and its longest memory if that is given."""
    model = _model(config)["model"]
    return {**model, "chrono_max": model["chrono_max"] > 0}


def _optimizer(config: dict[str, Any]) -> dict[str, Any]:
    return {**config["optimizer"], "learning_rate": None}


def _folder(entry: Entry) -> Path:
    """Of the sweep, or of the run."""
    return entry.workdir.parent.parent.resolve() if entry.sweep else entry.workdir.resolve()


def _words(entry: Entry) -> list[str]:
    return entry.workdir.name.split("-")


def _common(trials: list[Entry]) -> set[str]:
    return set.intersection(*(set(_words(entry)) for entry in trials))


def _differing(trials: list[Entry]) -> set[str]:
    return {word for entry in trials for word in _words(entry)} - _common(trials)


def _words_for_rates(trials: list[Entry]) -> set[str]:
    """In which the names of trials differ that are equal but for the learning rate."""
    return {word for group in grouped(trials, but_rate) for word in _differing(group)}


def _words_for_problems(trials: list[Entry]) -> set[str]:
    """Those that all names have on some problems and none on the others, and those in which the
    names of one model differ between problems.
    """
    problems = grouped(trials, task)
    always = [_common(problem) for problem in problems]
    ever = [{word for entry in problem for word in _words(entry)} for problem in problems]
    found = {
        word
        for word in set.union(*ever)
        if all(word in some or word not in any_ for some, any_ in zip(always, ever, strict=True))
    }
    for group in grouped(trials, _model):
        models = [len(grouped(problem, but_rate)) for problem in grouped(group, task)]
        if max(models) == 1:
            found |= _differing(group)
    return found


def _by_cell(trials: list[Entry]) -> dict[Entry, str]:
    """Those of which no word is left are called by their cell, or in full if it is not all."""
    told: dict[Entry, str] = {}
    for alike in grouped(trials, lambda config: config["model"]["cell"]):
        one = len(grouped(alike, _kind)) == 1
        for group in grouped(alike, but_rate):
            name = families.title(group[0].settings.config["model"]["cell"])
            told |= dict.fromkeys(group, name if one else group[0].name)
    return told


def _ambiguous(told: dict[Entry, str]) -> set[str]:
    """Rows that are another model in one folder than in another."""
    models: dict[str, dict[Path, set[str]]] = {}
    for entry, row in told.items():
        found = models.setdefault(row, {}).setdefault(_folder(entry), set())
        found.add(json.dumps(_kind(entry.settings.config), sort_keys=True))
    return {row for row, found in models.items() if len({*map(frozenset, found.values())}) > 1}


def _shared(told: dict[Entry, str]) -> set[str]:
    """Rows that have two models on one problem."""
    models: dict[tuple[str, str], set[str]] = {}
    for entry, row in told.items():
        config = entry.settings.config
        place = row, json.dumps(task(config), sort_keys=True)
        models.setdefault(place, set()).add(json.dumps(but_rate(config), sort_keys=True))
    return {row for (row, _), found in models.items() if len(found) > 1}
