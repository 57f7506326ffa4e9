"""How sets of variants combine (examples of each are doctests)."""

import pytest

from configs.variants import chain, product, values, zipped

A = {"a": {"model.cell": "gru"}, "b": {"model.cell": "lstm"}}
LENGTHS = values("task.length", (5, 10), "T")


def test_product_joins_names_and_overrides():
    assert product(LENGTHS, A, {"x": {"train.steps": 3}}) == {
        "T5-a-x": {"task.length": 5, "model.cell": "gru", "train.steps": 3},
        "T5-b-x": {"task.length": 5, "model.cell": "lstm", "train.steps": 3},
        "T10-a-x": {"task.length": 10, "model.cell": "gru", "train.steps": 3},
        "T10-b-x": {"task.length": 10, "model.cell": "lstm", "train.steps": 3},
    }


def test_chain_keeps_order():
    assert list(chain(A, LENGTHS)) == ["a", "b", "T5", "T10"]


@pytest.mark.parametrize(
    ("combine", "message"),
    [
        (lambda: product(A, A), "'model.cell' occurs twice"),
        (lambda: chain(A, A), "'a' occurs twice"),
        (lambda: zipped(A, values("task.length", (1,), "T")), "zip"),
    ],
)
def test_clashes(combine, message):
    with pytest.raises(ValueError, match=message):
        combine()
