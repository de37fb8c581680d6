"""How many floating point numbers lie between two."""

from __future__ import annotations

import numpy as np

from portable_bp.arrays import HostArray

NOT_A_NUMBER = 2**64 - 1
"""Distance between a NaN and a number: more than any two numbers have."""


def ulps(a: HostArray, b: HostArray) -> HostArray:
    """Steps from each a to its b through the numbers of their dtype: NumPy uint64, exact.

    Neighbours are 1 apart, also across 0, where -0 and 0 are one number, among subnormal numbers, and from the largest
    number to infinity. Two NaNs are 0 apart, a NaN and a number 2⁶⁴ - 1. a and b: NumPy arrays of equal shape, both
    float32 or both float64.

    Source: the bits of IEEE 754 numbers, read as integers, have the order of the numbers' magnitudes (Bruce Dawson,
    "Comparing floating point numbers", 2012).
    """
    first, second = _numbered(a), _numbered(b)
    up, down = np.maximum(first, second), np.minimum(first, second)
    with np.errstate(over="ignore"):  # modulo 2⁶⁴, so exact though up - down may exceed int64
        between = up.astype(np.uint64) - down.astype(np.uint64)
    nan = np.isnan(a), np.isnan(b)
    return np.where(nan[0] & nan[1], np.uint64(0), np.where(nan[0] | nan[1], np.uint64(NOT_A_NUMBER), between))


def _numbered(a: HostArray) -> HostArray:
    """Integers in the order of the numbers, without a gap: int64, 0 for ±0."""
    signed = f"int{8 * a.dtype.itemsize}"
    bits = np.asarray(a).view(signed).astype(np.int64)
    minus_zero = -(2 ** (8 * a.dtype.itemsize - 1))  # its bits as an integer: the smallest of all
    return np.where(bits < 0, minus_zero - bits, bits)


def first_bit(a: HostArray, b: HostArray) -> int | None:
    """Number of the first bit, counted from the sign's, 0, in which two numbers of one dtype differ; None: in none."""
    size = a.dtype.itemsize * 8
    unsigned = np.dtype(f"uint{size}")
    different = int(np.asarray(a).view(unsigned)[()] ^ np.asarray(b).view(unsigned)[()])
    return size - different.bit_length() if different else None
