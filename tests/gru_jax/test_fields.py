"""Values of fields: what is taken as a number, and what an error says."""

import math

import numpy as np
import pytest

from gru_jax import FieldError, GRUCell, Optimizer, fields
from gru_jax.tasks.adding import Adding

pytestmark = pytest.mark.quick
WHOLE = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
REAL = (np.float16, np.float32, np.float64, np.longdouble)


def test_scalars_of_numpy_are_the_numbers_that_they_are():
    for kind in WHOLE:
        found = fields.integer("size", kind(4), 1), fields.real("size", kind(4))
        assert found == (4, 4.0)
        assert [type(value) for value in found] == [int, float]
    for kind in REAL:
        found = fields.real("rate", kind(0.25))
        assert (found, type(found)) == (0.25, float)
    assert fields.boolean("bias", np.bool_(False)) is False
    assert type(fields.one_of("cell", np.str_("gru"), ["gru"])) is str
    assert Adding(length=np.int64(9)) == Adding(length=9)
    assert Optimizer(beta1=np.float64(0.5)) == Optimizer(beta1=0.5)
    from flax import nnx

    assert GRUCell(np.int64(3), np.uint8(5), rngs=nnx.Rngs(0)).hidden_features == 5


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: fields.integer("size", np.int64(0), 1), "size = 0: must be a whole number"),
        (lambda: fields.integer("size", np.float64(4), 1), "size = 4.0: must be a whole number"),
        (lambda: fields.integer("size", np.bool_(True), 1), "size = True: must be a whole number"),
        (lambda: fields.real("rate", np.float32(math.nan)), "rate = nan: must be a finite number"),
        (lambda: fields.real("rate", np.bool_(True)), "rate = True: must be a finite number"),
        (lambda: fields.boolean("bias", np.int64(1)), "bias = 1: must be True or False"),
        (lambda: fields.integer("size", np.ones(1, int), 1), r"size = array\(\[1\]\): must be"),
    ],
)
def test_a_scalar_of_numpy_is_no_more_than_the_number(check, message):
    with pytest.raises(FieldError, match=f"^{message}"):
        check()


@pytest.mark.parametrize(
    ("value", "least", "message"),
    [
        (2**31, 0, "size = 2147483648: must be a whole number, in 0..2147483647"),
        (
            np.uint64(2**63),
            1,
            "size = 9223372036854775808: must be a whole number, in 1..2147483647",
        ),
        (-1, 0, "size = -1: must be a whole number, at least 0"),
        (3e9, 0, "size = 3000000000.0: must be a whole number, at least 0"),
    ],
)
def test_who_comes_upon_the_upper_bound_is_told_both(value, least, message):
    with pytest.raises(FieldError) as raised:
        fields.integer("size", value, least)
    assert str(raised.value) == message
    assert fields.integer("size", fields.LARGEST, least) == 2**31 - 1
