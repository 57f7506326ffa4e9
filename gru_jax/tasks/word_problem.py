"""The word problem of a group: the product of everything so far (Merrill et al. 2024)."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np

from gru_jax import fields
from gru_jax.axes import Key
from gru_jax.tasks.base import Classification, Example

GROUPS = ("S3", "S4", "S5", "A4", "A5", "A4xZ5", "Z60")


@dataclasses.dataclass(frozen=True)
class WordProblem(Classification):
    """Multiply all elements of a group so far, at every step.

    Tokens are `length` elements, all equally likely; so are the targets. Of `group`, S are the
    permutations of so many things, A the even ones, Z the sums modulo so many; x is a product of
    two groups. The word of a, b, c asks for a, then for first a and then b, and so on. For S3,
    whose elements are numbered 012, 021, 102, 120, 201, 210 by where they send 0, 1 and 2:

        input   1 2 2
        target  1 3 1

    No network of a fixed depth that a parallel machine could evaluate in constant time solves S5
    and A5, among them transformers and linear cells with diagonal recurrence, if a common
    conjecture holds (NC1 is not TC0).

    Baseline: the first element is uniform, and therefore every product; hence ln of the size.
    """

    tokens = True
    readout = "every"

    length: int = 20
    group: str = "S5"

    def __post_init__(self):
        fields.one_of("group", self.group, GROUPS)
        fields.integer("length", self.length, 1)

    @property
    def input_size(self) -> int:
        return len(product_table(self.group))

    @property
    def output_size(self) -> int:
        return self.input_size

    @property
    def baseline_loss(self) -> float:
        return math.log(self.output_size)

    def example(self, key: Key) -> Example:
        inputs = jax.random.randint(key, (self.length,), 0, self.input_size)
        products = jnp.asarray(product_table(self.group))
        return Example(inputs, jax.lax.associative_scan(lambda a, b: products[a, b], inputs))


@functools.cache
def product_table(group: str) -> np.ndarray:
    """Row a, column b: the number of the element that is first a and then b."""
    if "x" in group:
        first, second = map(product_table, group.split("x"))
        pairs = first[:, None, :, None] * len(second) + second[None, :, None, :]
        return pairs.reshape([len(first) * len(second)] * 2)
    kind, size = group[0], int(group[1:])
    if kind == "Z":
        return np.add.outer(np.arange(size), np.arange(size)) % size
    elements = np.array(list(itertools.permutations(range(size))))
    if kind == "A":
        elements = elements[[round(np.linalg.det(np.eye(size)[each])) == 1 for each in elements]]
    numbers = {tuple(each): number for number, each in enumerate(elements.tolist())}
    return np.array([[numbers[tuple(b[a])] for b in elements] for a in elements])
