"""The distance of two floating point numbers, counted in numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portable_bp.lockstep.ulps import NOT_A_NUMBER, first_bit, ulps

DTYPES = [np.float32, np.float64]
INTEGERS = {np.float32: "int32", np.float64: "int64"}


def distance(a, b, dtype):
    with np.errstate(over="ignore"):
        a, b = dtype(a), dtype(b)
    found = ulps(np.asarray([a]), np.asarray([b]))
    assert found.dtype == np.uint64
    assert found.shape == (1,)
    assert ulps(np.asarray(b), np.asarray(a)) == found[0]  # symmetric, and for single numbers too
    return int(found[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_known_distances(dtype):
    info = np.finfo(dtype)
    tiny, bits = info.smallest_subnormal, info.bits
    assert distance(1.0, 1.0, dtype) == 0
    assert distance(1.0, 1.0 + info.eps, dtype) == 1
    assert distance(1.0, 1.0 - info.epsneg, dtype) == 1  # numbers are denser below a power of two
    assert distance(1.0, 2.0, dtype) == 2**info.nmant
    assert distance(0.0, -0.0, dtype) == 0
    assert distance(0.0, tiny, dtype) == 1
    assert distance(-tiny, tiny, dtype) == 2
    assert distance(info.smallest_normal, info.smallest_normal - tiny, dtype) == 1
    assert distance(info.smallest_normal, 0.0, dtype) == 2**info.nmant
    assert distance(info.max, np.inf, dtype) == 1
    assert distance(-np.inf, np.inf, dtype) == 2 * ((2 ** (bits - 1 - info.nmant) - 1) << info.nmant)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_nan_is_nowhere_but_at_another_nan(dtype):
    assert distance(np.nan, -np.nan, dtype) == 0
    for number in (0.0, 1.0, np.inf, -np.inf):
        assert distance(np.nan, number, dtype) == NOT_A_NUMBER > distance(-np.inf, np.inf, dtype)


def numbered(value, dtype):
    """Its place among all numbers, in Python's integers."""
    bits = int(np.asarray(value, dtype).view(INTEGERS[dtype]))
    return bits if bits >= 0 else -(bits + 2 ** (8 * dtype().itemsize - 1))


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_float64_distances_are_those_of_python_s_integers(a, b):
    assert distance(a, b, np.float64) == abs(numbered(a, np.float64) - numbered(b, np.float64))


@given(st.floats(allow_nan=False, width=32), st.floats(allow_nan=False, width=32))
def test_float32_distances_are_those_of_python_s_integers(a, b):
    assert distance(a, b, np.float32) == abs(numbered(a, np.float32) - numbered(b, np.float32))


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.integers(0, 40), st.sampled_from([-1, 1]))
def test_so_many_neighbours_away_is_that_many(a, count, direction):
    b = np.float32(a)
    with np.errstate(over="ignore"):
        for _ in range(count):
            b = np.nextafter(b, np.float32(direction * np.inf))
    if not np.isfinite(b):  # infinity has no neighbour beyond it
        return
    assert distance(a, b, np.float32) == count


def test_bits_count_from_the_sign():
    one = np.float32(1.0)
    assert first_bit(one, one) is None
    assert first_bit(one, -one) == 0
    assert first_bit(one, np.nextafter(one, np.float32(2))) == 31
    assert first_bit(np.float64(1), np.float64(1.5)) == 12  # the first of the fraction, behind 11 of the exponent
    assert first_bit(np.float32(0.0), np.float32(-0.0)) == 0
