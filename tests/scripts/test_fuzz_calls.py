"""Nonsense as arguments of the library's calls: refused in one sentence, or equal to a loop."""

import pytest

from scripts.endurance import fuzz_calls

pytestmark = pytest.mark.usefixtures("least_effort")


def test_thirty_calls():
    counts = fuzz_calls.fuzz(30, 0)
    assert sum(counts.values()) >= 30
    assert {name.partition(":")[0] for name in counts} == set(fuzz_calls.TARGETS)
