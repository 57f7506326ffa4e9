"""A task of one's own that breaks its contract is told so by name."""

import dataclasses

import jax.numpy as jnp
import pytest

from gru_jax import Adding, Experiment
from gru_jax.fields import ContractError
from gru_jax.tasks.base import Classification, Example

pytestmark = pytest.mark.quick


class Parity(Classification):
    readout = "last"
    length = 4


def test_what_a_task_must_define_is_named():
    with pytest.raises(ContractError, match=r"^Parity must define .*output_size"):
        Parity()


@dataclasses.dataclass(frozen=True)
class Flat(Adding):
    """Its target is a number and not an array of one, which would be broadcast."""

    def example(self, key):
        found = super().example(key)
        return Example(found.inputs, jnp.zeros(()))


def test_the_targets_of_a_regression_have_a_shape():
    with pytest.raises(ContractError, match=r"targets of Flat's .* \(\): must have \(1,\)"):
        Experiment(Flat(4), lambda _: None)
