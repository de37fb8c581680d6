"""A counter-based random generator in Array API operations: the same bits on every backend.

Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC'11): ten rounds turn a
counter of four 32-bit words and a key of two into four random words. The words are held in int64 arrays, since the
standard promises no unsigned arithmetic on every library; each product is split so that it stays below 2⁶³.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from portable_bp.arrays import Array, Namespace, Shape
from portable_bp.streams import stream_key

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and √3 - 1, as 32-bit fractions
WORD = 0xFFFFFFFF


def _product(xp: Namespace, constant: int, word: Array) -> tuple[Array, Array]:
    """High and low 32 bits of ``constant · word``, both below 2³², without a number above 2⁴⁹."""
    low = (constant & 0xFFFF) * word
    middle = (constant >> 16) * word + xp.bitwise_right_shift(low, _like(xp, low, 16))
    high = xp.bitwise_right_shift(middle, _like(xp, low, 16))
    below = xp.bitwise_and(middle, _like(xp, low, 0xFFFF)) * 0x10000
    return high, below + xp.bitwise_and(low, _like(xp, low, 0xFFFF))


def _like(xp: Namespace, array: Array, value: int) -> Array:
    return xp.full_like(array, value)


def philox4x32(xp: Namespace, counter: tuple[Array, ...], key: tuple[Any, Any]) -> tuple[Array, Array, Array, Array]:
    """Ten rounds of Philox4x32.

    ``counter``: four int64 arrays of 32-bit words of equal shape; ``key``: two such words, Python ints or arrays that
    broadcast against the counter. Returns four int64 arrays of uniform 32-bit words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = (xp.zeros_like(c0) + word for word in key)
    word = xp.full_like(k0, WORD)
    for _ in range(ROUNDS):
        high0, low0 = _product(xp, MULTIPLIERS[0], c0)
        high1, low1 = _product(xp, MULTIPLIERS[1], c2)
        c0, c2 = xp.bitwise_xor(xp.bitwise_xor(high1, c1), k0), xp.bitwise_xor(xp.bitwise_xor(high0, c3), k1)
        c1, c3 = low1, low0
        k0, k1 = xp.bitwise_and(k0 + WEYL[0], word), xp.bitwise_and(k1 + WEYL[1], word)
    return c0, c1, c2, c3


@dataclass(frozen=True)
class Draw:
    """The random bits of one layer at one training step.

    ``key``: two 32-bit words that stand for (seed, layer), Python ints; or, for a population of K networks, two
    int64 arrays of shape (K, 1). ``step``: int64 array of shape (), the number of steps taken before this one.
    """

    key: tuple[Any, Any]
    step: Array

    def bits(self, xp: Namespace, shape: Shape) -> Array:
        """Uniform integers in [0, 2³²), int64, of ``shape``; with a population's key ``shape[0]`` is K."""
        population = () if isinstance(self.key[0], int) else shape[:1]
        n = prod(shape[len(population) :])
        zero = xp.zeros((-(-n // 4),), dtype=xp.int64)  # four words a counter
        lane = xp.arange(zero.shape[0], dtype=xp.int64)
        words = philox4x32(xp, (lane, zero, zero + self.step, zero), self.key)
        return xp.reshape(xp.concat(words, axis=-1)[..., :n], shape)


def mask_key(seed: int, layer: int) -> tuple[int, int]:
    """Key of the masks of layer number ``layer`` in a network of ``seed``: two 32-bit words."""
    key = stream_key(seed, "mask", layer)
    return key & WORD, (key >> 32) & WORD
