"""The small made-up sets of E1 and E2: one-hot vectors, a line through the unit square, XOR."""

import numpy as np

from portable_bp.arguments import whole_number
from portable_bp.datasets.split import Split

MAX_SEED = 2**64 - 1


def one_hot(n: int = 8) -> Split:
    """The encoder's task, x = y = I: each of n one-hot vectors is its own target.

    x, y: (n, n) float64, two separate arrays.
    Source: D. Ackley, G. Hinton, T. Sejnowski, A learning algorithm for Boltzmann machines (1985).
    """
    n = whole_number("n", n, 1)
    return Split(np.eye(n), np.eye(n))


def linear(n: int = 100, seed: int = 0) -> Split:
    """Points uniform in the unit square [0, 1)²; y = 1 where x2 > x1, else 0.

    x: (n, 2) float64. y: (n, 1) float64 of 0 and 1. The draw is NumPy's Philox keyed by seed.
    """
    n = whole_number("n", n, 1)
    seed = whole_number("seed", seed, 0, MAX_SEED)
    x = np.random.Generator(np.random.Philox(key=seed)).random((n, 2))
    return Split(x, (x[:, 1:] > x[:, :1]).astype(np.float64))


def xor() -> Split:
    """21 points along the two diagonals of the unit square, i = 0..10.

    (0.1 i, 0.1 i) has y = 0, (0.1 i, 1 - 0.1 i) has y = 1; their common centre (0.5, 0.5) is there
    once, with y = 0. x: (21, 2) float64, rising diagonal first. y: (21, 1) float64 of 0 and 1.
    """
    t = 0.1 * np.arange(11)
    rising = np.column_stack([t, t])
    falling = np.delete(np.column_stack([t, 1 - t]), 5, axis=0)
    return Split(np.concatenate([rising, falling]), np.repeat([[0.0], [1.0]], [11, 10], axis=0))
