"""Where all random numbers of a run come from: streams of keys that never meet.

    stream(INITIALISATION, seed)        a model's parameters, drawn one after the other
    stream(TRAIN, seed, step)           the examples of one training step, by their index
    stream(REGULARIZERS, seed, step)    the masks and noise of one training step
    stream(VALIDATION)                  the examples that evaluations during training take
    stream(TEST)                        examples that only judge a trained model

A key depends on the stream's name and on the numbers beside it, and on nothing else: neither on
the devices nor on other seeds or streams. A run that needs another kind of random numbers gives
them a name of their own, and all others stay as they are. (Collected examples are in splits of the
same names; only the draws of "train" are random there.)
"""

import zlib

import jax

from gru_jax.axes import Array, Key

INITIALISATION, REGULARIZERS = "initialisation", "regularizers"
TRAIN, VALIDATION, TEST = "train", "validation", "test"


def stream(name: str | Array, *numbers: int | Array) -> Key:
    """The key of a stream, or of the part of it that whole numbers from 0 name.

    Args:
      name: the name, or its `code`, by which a compiled program is told.

    Two streams part at their first fold, so keys of both could only be equal if their 64-bit
    hashes collided. The name is hashed as well, since seeds that people choose are small: `key(0)`
    folded with a small number is what `nnx.Rngs(0)` draws.
    """
    return fold(jax.random.key(0), name, *numbers)


def code(name: str) -> int:
    """The number that is folded into a key for a name."""
    return zlib.crc32(name.encode())


def fold(key: Key, *parts: str | int | Array) -> Key:
    """The key with one number, or name, after the other folded in."""
    for part in parts:
        key = jax.random.fold_in(key, code(part) if isinstance(part, str) else part)
    return key
