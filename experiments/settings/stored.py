"""The config of a run that there is already, as a config file for --config=RUN/config.json."""

from pathlib import Path
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from configs import common
from experiments.settings.models import frozen
from experiments.settings.schema import complete
from experiments.system.files import read_json


def get_config(path: str) -> ConfigDict:
    stored = complete(read_json(Path(path), f"{path} cannot be read"))
    return _declared(stored, common.get_config())


def _declared(stored: dict[str, Any], like: Any) -> ConfigDict:
    """A section whose values, if they are None or lists, have the types of a config file."""
    config = ConfigDict()
    for name, value in stored.items():
        known = isinstance(like, ConfigDict) and name in like
        if isinstance(value, dict):
            config[name] = _declared(value, like[name] if known else None)
        elif value is None and known:
            config[name] = placeholder(like.get_type(name))
        else:
            config[name] = frozen(value)
    return config
