"""Sentences that several generated parts of the documentation share."""

import pytest

from scripts.paper import pages
from tests.sweeping import MADE

pytestmark = pytest.mark.quick


def test_each_machine_of_a_table_is_told_once():
    here = MADE | {"devices": 1}
    there = here | {"device": "GPU", "python": "4", "precision": "float32", "wall_seconds": 360.0}
    told = pages.made_on([here, there, here, MADE])
    assert told == "1 x cpu, 2 x cpu; Python 3, ; and 1 x GPU (products in float32); Python 4, "
    assert pages.hours([here, there, here]) == "2.0 core hours and 0.1 hours of one GPU"
    assert pages.hours([here | {"devices": 2}, here]) == "3.0 core hours"
    assert pages.hours([there]) == "0.1 hours of one GPU"
