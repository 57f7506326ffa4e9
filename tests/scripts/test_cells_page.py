"""The cells of docs/cells.md that are settings of others: a config can make every one of them."""

import doctest
import re

import pytest

from experiments.settings.resolution import resolve
from gru_jax import CELLS
from scripts.paper import cells
from scripts.paper.cells import OTHERS, SETTINGS
from tests.programs import tiny_config


@pytest.mark.parametrize("name", SETTINGS)
def test_a_config_makes_it_in_two_layers(name):
    setting = SETTINGS[name]
    (cell,) = (name for name, made in CELLS.items() if made is setting.cell)
    config = tiny_config(**{"model.cell": cell, "model.hidden_sizes": (4, 3)})
    for option, value in setting.options.items():
        shared = option == "keeping_bias"  # which all cells have in one place
        section = config.model if shared else config.model[cell]
        section[option] = value
    assert resolve(config).experiment.parameters > 0


def test_what_others_do_is_said_of_cells_that_there_are():
    assert OTHERS.keys() <= {*CELLS.values(), *SETTINGS}


def test_every_source_leads_to_its_paper():
    sources = re.findall(r"^Source: .*", cells.equations(), re.MULTILINE)
    rows = cells.settings().splitlines()[2:]
    assert (len(sources), len(rows)) == (len(CELLS), len(SETTINGS))
    for told in [*sources, *rows]:
        assert re.search(r"\[[^]]* \(?\d{4}\)?\]\(https://\S+\)", told), told
    assert doctest.testmod(cells).failed == 0
