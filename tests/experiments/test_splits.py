"""To read collected examples is to get the same ones every time, and changes nothing else."""

import numpy as np
import pytest

from experiments.datasets.sources import _loaded, load_task
from tests.collected import texts


@pytest.mark.parametrize("name", ["text", "digits"])
def test_to_read_them_again_changes_nothing(name, tmp_path):
    options = {"path": str(texts(tmp_path))} if name == "text" else {"permuted": True}
    first = load_task(name, **options)
    _loaded.cache_clear()
    second = load_task(name, **options)
    assert first is not second
    for split, examples in first.splits.items():
        np.testing.assert_array_equal(examples.inputs, second.splits[split].inputs)
        np.testing.assert_array_equal(examples.targets, second.splits[split].targets)


def test_the_global_generator_is_left_alone():
    _loaded.cache_clear()
    state = lambda: np.random.get_state()[1].copy()  # noqa: NPY002
    before = state()
    load_task("mnist1d")
    np.testing.assert_array_equal(before, state())
