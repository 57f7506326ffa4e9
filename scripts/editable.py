"""What an editable install makes importable, for the build: the library, and the programs as well.

A wheel has the library alone. The folders `configs`, `scripts` and `tests` are in neither, so that
they are not in the way of other projects' modules of those names.
"""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Programs(BuildHookInterface[Any]):
    """Takes `experiments` back in, which pyproject.toml excludes."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            build_data["artifacts"].append("/experiments/**")
