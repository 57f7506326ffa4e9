"""The cells of docs/cells.md that are settings of others: a config can make every one of them."""

import pytest

from experiments.settings.resolution import resolve
from gru_jax import CELLS
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
