"""Nonsense in every field: refused in one line, or accepted and then traces."""

import hypothesis
import pytest

from scripts.endurance import fuzz
from tests.programs import one_line, program


@pytest.mark.parametrize("seed", range(2))
def test_five_hundred_cases(seed):
    counts = fuzz.fuzz(500, 1000 + seed)
    assert sum(counts.values()) >= 500
    assert len(counts) >= 4, counts  # the kinds of end, so that none is missed altogether


def drawn(seed, count):
    """So many cases of the generator."""
    found = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(fuzz.CASES)
    def collect(case):
        found.append(case)

    collect()
    return found


def refused(seed, count):
    """Command lines of so many cases that are refused in process, and the complaints."""
    found = []
    for case in drawn(seed, 1000):
        if len(found) < count and all(isinstance(value, str) for _, value in case[1]):
            complaint = fuzz.refusal(case)
            if complaint is not None and "needs at least" not in complaint:  # of this many devices
                found.append((fuzz.arguments(case)[1:], complaint))
    assert len(found) == count
    return found


@pytest.mark.parametrize("seed", range(2))
def test_ten_cases_through_the_real_command(seed, tmp_path):
    for arguments, complaint in refused(seed, 10):
        ended = program("train", *arguments, cwd=tmp_path, expect=2)
        assert one_line(ended.stderr), ended.stderr
        assert ended.stderr == "error: " + " ".join(complaint.split()) + "\n"
        assert list(tmp_path.iterdir()) == []


def test_every_field_is_fuzzed():
    """The generator reaches each of them, and each section."""
    reached = {path for case in drawn(1, 2500) for path, _ in case[1]}
    assert set(fuzz.paths(fuzz.default("adding"))) <= reached
