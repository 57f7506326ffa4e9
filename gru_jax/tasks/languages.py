"""Questions about strings, and what is known of the answers unseen (Delétang et al. 2023)."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy
from numpy.typing import NDArray

from gru_jax.axes import Array, Key
from gru_jax.tasks.base import one_of

CYCLE, MODULUS, BUCKETS = 5, 5, 5
HOLE, PAD = 2, 3  # in a string that is written twice
Drawn = tuple[Array, Array, Array]


@dataclasses.dataclass(frozen=True)
class Language:
    """What is asked about a string.

    symbols: how many kinds of them strings have.
    classes: how many answers are possible.
    draw: from a key, the length n and the number of places, at least n: the symbols at the places,
      of which the first are the string; how many those are; and the answers, one, or one a place.
    entropy: of the answer to a string of length n, mean over the answers where there are several.
    """

    symbols: int
    classes: int
    draw: Callable[[Key, Array, int], Drawn]
    entropy: Callable[[int], float]
    transduces: bool = False  # whether there are as many answers as symbols
    odd: bool = False  # whether a string of even length lacks its last symbol


def _symbols(key: Key, size: int, kinds: int) -> Array:
    return jax.random.randint(key, (size,), 0, kinds)


def _even_pairs(key: Key, n: Array, size: int) -> Drawn:
    bits = _symbols(key, size, 2)
    return bits, n, bits[0] ^ bits[n - 1]


def _parity(key: Key, n: Array, size: int) -> Drawn:
    bits = _symbols(key, size, 2)
    return bits, n, _over(n, bits).sum() % 2


def _cycle_navigation(key: Key, n: Array, size: int) -> Drawn:
    moves = _symbols(key, size, 3)
    return moves, n, _over(n, moves - 1).sum() % CYCLE


def _modular_arithmetic(key: Key, n: Array, size: int) -> Drawn:
    number_key, operator_key = jax.random.split(key)
    numbers = _symbols(number_key, size, MODULUS)
    operators = _symbols(operator_key, size, 3)
    n -= 1 - n % 2

    def step(state, place):
        (total, term), number = state, numbers[place + 1]
        multiplied = jnp.array([total, term * number])
        signed = jnp.where(operators[place] == 1, -number, number)
        added = jnp.array([total + term, signed])
        new = jnp.where(operators[place] == 2, multiplied, added) % MODULUS
        return jnp.where(place + 1 < n, new, state), None

    places = jnp.arange(1, size - 1, 2)
    (total, term), _ = jax.lax.scan(step, jnp.array([0, numbers[0]]), places)
    string = jnp.where(jnp.arange(size) % 2, MODULUS + operators, numbers)
    return string, n, (total + term) % MODULUS


def _bucket_sort(key: Key, n: Array, size: int) -> Drawn:
    string = _symbols(key, size, BUCKETS)
    return string, n, jnp.sort(jnp.where(jnp.arange(size) < n, string, BUCKETS))


def _missing_duplicate(key: Key, n: Array, size: int) -> Drawn:
    bit_key, hole_key = jax.random.split(key)
    bits, half, places = _symbols(bit_key, size, 2), n // 2, jnp.arange(size)
    hole = one_of(hole_key, 0, jnp.maximum(2 * half - 1, 0))
    twice = bits[places % jnp.maximum(half, 1)]
    string = jnp.where(places == hole, HOLE, twice)
    string = jnp.where(places < 2 * half, string, PAD)
    # There is nothing to ask about a single symbol.
    return jnp.where(n == 1, 1, string), n, jnp.where(n == 1, 1, twice[hole])


def _reverse(key: Key, n: Array, size: int) -> Drawn:
    string = _symbols(key, size, 2)
    return string, n, string[n - 1 - jnp.arange(size)]


def _odds_first(key: Key, n: Array, size: int) -> Drawn:
    string, places, half = _symbols(key, size, 2), jnp.arange(size), n // 2
    return string, n, string[jnp.where(places < half, 2 * places + 1, 2 * (places - half))]


def _over(n: Array, values: Array) -> Array:
    """The values at the first n places, and zeros."""
    return jnp.where(jnp.arange(len(values)) < n, values, 0)


def _entropy(chances: Any) -> float:
    """In nats, of distributions in the last axis; mean over the others."""
    chances = np.clip(chances, 1e-30, 1)
    return float(-np.sum(chances * np.log(chances), axis=-1).mean())


def _bit(_: int) -> float:
    return math.log(2)


def _bit_of_two(n: int) -> float:
    """Certain where there is but one symbol."""
    return math.log(2) if n > 1 else 0.0


def _position(n: int) -> float:
    step = sum(np.roll(np.eye(CYCLE), move, axis=1) for move in (-1, 0, 1)) / 3
    return _entropy(np.linalg.matrix_power(step, n)[0])


def _value(n: int) -> float:
    """Of an expression: by the joint distribution of total and last term, operator by operator."""
    chances = np.zeros(MODULUS**2)
    chances[:MODULUS] = 1 / MODULUS
    chances = chances @ np.linalg.matrix_power(_operation(), (n - 1) // 2)
    values = np.zeros(MODULUS)
    for state, chance in enumerate(chances):
        values[sum(divmod(state, MODULUS)) % MODULUS] += chance
    return _entropy(values)


@functools.cache
def _operation() -> NDArray[np.float64]:
    """The chances of the next total and term, total * MODULUS + term, in the row of the last."""
    found = np.zeros((MODULUS**2, MODULUS**2))
    for total, term, number in itertools.product(range(MODULUS), repeat=3):
        row = found[total * MODULUS + term]
        row[total * MODULUS + term * number % MODULUS] += 1 / (3 * MODULUS)
        for signed in (number, -number):
            row[(total + term) % MODULUS * MODULUS + signed % MODULUS] += 1 / (3 * MODULUS)
    return found


def _order(n: int) -> float:
    """The i-th smallest is at most v where more than i of n symbols are: a binomial tail."""
    i, shares = np.arange(n)[:, None], np.arange(1, BUCKETS) / BUCKETS
    below = scipy.special.betainc(i + 1.0, n - i, shares)
    whole = np.concatenate([np.zeros((n, 1)), below, np.ones((n, 1))], axis=1)
    return _entropy(np.diff(whole, axis=1))


LANGUAGES = {
    "even_pairs": Language(2, 2, _even_pairs, _bit_of_two),
    "parity": Language(2, 2, _parity, _bit),
    "cycle_navigation": Language(3, CYCLE, _cycle_navigation, _position),
    "modular_arithmetic": Language(MODULUS + 3, MODULUS, _modular_arithmetic, _value, odd=True),
    "bucket_sort": Language(BUCKETS, BUCKETS, _bucket_sort, _order, transduces=True),
    "missing_duplicate": Language(4, 2, _missing_duplicate, _bit_of_two),
    "reverse": Language(2, 2, _reverse, _bit, transduces=True),
    "odds_first": Language(2, 2, _odds_first, _bit, transduces=True),
}
