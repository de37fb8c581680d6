"""Products and sums: the same bits in any order and on any library, and at least as exact as native float32."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import portable_bp as bp
from portable_bp.reproducible import powers, with_arithmetic

NUMPY = with_arithmetic(bp.get_backend("numpy"), "reproducible")
XP = NUMPY.xp
NOISE = np.random.default_rng(0)
SHAPES = [(1, 1, 1), (5, 7, 3), (128, 784, 16), (33, 5000, 4), (2, 70000, 1), (1, 1 << 20, 1)]


def scaled(kind, m, k, n):
    """Random matrices, plain or badly scaled by powers of ten over rows, columns, or along the sum."""
    a, b = NOISE.normal(size=(m, k)), NOISE.normal(size=(k, n))
    if kind == "rows and columns":
        return a * 10.0 ** NOISE.integers(-12, 12, size=(m, 1)), b * 10.0 ** NOISE.integers(-12, 12, size=(1, n))
    if kind == "along the sum":
        inner = 10.0 ** NOISE.integers(-2, 2, size=k)
        return a * inner, b / inner[:, None]
    return a, b


def exact_product(a, b):
    columns = [[Fraction(float(v)) for v in column] for column in b.T]
    rows = [[Fraction(float(v)) for v in row] for row in a]
    return [[sum(x * y for x, y in zip(row, column, strict=True)) for column in columns] for row in rows]


def error(found, a, b):
    """Largest |found - a b| relative to |a| |b|, exactly."""
    true = exact_product(a, b)
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64))
    return max(
        float(abs(Fraction(float(found[i, j])) - true[i][j])) / size[i, j]
        for i in range(len(true))
        for j in range(len(true[0]))
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["random", "rows and columns", "along the sum"])
def test_products_are_at_least_as_exact_as_native_ones(kind, dtype):
    a, b = (x.astype(dtype) for x in scaled(kind, 4, 784, 5))
    assert error(XP.matmul(a, b), a, b) <= error(a @ b, a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("m", "k", "n"), SHAPES)
def test_products_have_the_same_bits_on_every_backend_and_in_any_order(m, k, n, dtype, reproducible):
    a, b = (x.astype(dtype) for x in scaled("rows and columns", m, k, n))
    order = NOISE.permutation(k) if k <= 4096 else np.arange(k)
    with reproducible.activate():
        found = reproducible.xp.matmul(reproducible.asarray(a[:, order]), reproducible.asarray(b[order]))
        assert reproducible.to_numpy(found).tobytes() == XP.matmul(a, b).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2, (0, 1), (-2, -1), (1, 2)])
@pytest.mark.parametrize("keepdims", [True, False])
def test_sums_have_the_same_bits_on_every_backend_and_in_any_order(axis, keepdims, dtype, reproducible):
    x = (NOISE.normal(size=(4, 130, 6)) * 10.0 ** NOISE.integers(-9, 9, size=(4, 130, 6))).astype(dtype)
    turned = np.flip(x, axis=axis).copy()
    with reproducible.activate():
        found = reproducible.xp.sum(reproducible.asarray(turned), axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(reproducible.to_numpy(found), XP.sum(x, axis=axis, keepdims=keepdims))


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 2.0**-24), ("float64", 2.0**-52)])
def test_sums_are_exact_to_their_last_rounding(dtype, bound):
    x = NOISE.normal(size=(20, 300)).astype(dtype)
    for row, found in zip(x, XP.sum(x, axis=-1), strict=True):
        true = sum(Fraction(float(v)) for v in row)
        assert abs(Fraction(float(found)) - true) <= bound * abs(true) + Fraction(300**2) * Fraction(2) ** -100


@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e-9, 1e30, 1e250])
def test_sums_of_small_and_large_float64_numbers_keep_their_digits(size):
    x = size * NOISE.normal(size=50)
    true = sum(Fraction(float(v)) for v in x)
    assert abs(Fraction(float(XP.sum(x))) - true) <= Fraction(2) ** -52 * abs(true)


def test_what_would_differ_is_not_passed_on():
    for name in ("linspace", "empty", "empty_like"):
        with pytest.raises(bp.ConfigurationError, match=f"xp.{name} has no reproducible definition"):
            getattr(XP, name)
    with pytest.raises(bp.ConfigurationError, match="give whole numbers"):
        XP.arange(0.1, 1.0, 0.1)
    assert XP.arange(2, 5, dtype=np.int64).tolist() == [2, 3, 4]


def test_integers_are_added_as_they_are():
    assert XP.sum(np.arange(10)) == 45


@pytest.mark.parametrize("member", range(3))
def test_a_member_of_a_population_has_the_bits_that_it_has_alone(member):
    a, b = NOISE.normal(size=(3, 6, 50)).astype("float32"), NOISE.normal(size=(3, 50, 4)).astype("float32")
    np.testing.assert_array_equal(XP.matmul(a, b)[member], XP.matmul(a[member], b[member]))
    np.testing.assert_array_equal(XP.sum(a, axis=-2)[member], XP.sum(a[member], axis=-2))


FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from(
    [0.0, -0.0, 1e-45, 1e-38, 3.4e38, -3.4e38]
)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.float32, (3, 9), elements=FLOATS), arrays(np.float32, (9, 2), elements=FLOATS), st.permutations(range(9))
)
def test_any_finite_float32_operands_give_the_same_bits_in_any_order(a, b, order):
    with np.errstate(over="ignore"):
        found, again = XP.matmul(a, b), XP.matmul(a[:, order], b[order])
    np.testing.assert_array_equal(found, again)
    true = np.asarray([[float(v) for v in row] for row in exact_product(a, b)])
    largest = np.abs(a).max(axis=1, keepdims=True).astype(float) * np.abs(b).max(axis=0).astype(float)
    unseen = 2.0**-124 * 9 * (float(np.abs(a).max()) + float(np.abs(b).max())) + 2.0**-96
    with np.errstate(invalid="ignore"):
        allowed = np.abs(found - true) <= 2.0**-24 * np.abs(true) + 9 * 2.0**-37 * largest + unseen
    assert np.all(allowed | (np.abs(true) > 3.4e38))


@settings(max_examples=100, deadline=None)
@given(arrays(np.float64, (2, 11), elements=st.floats(-1e300, 1e300)), st.permutations(range(11)))
def test_any_float64_terms_give_the_same_sum_in_any_order(x, order):
    np.testing.assert_array_equal(XP.sum(x, axis=-1), XP.sum(x[:, order], axis=-1))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_a_row_that_is_not_finite_gives_nan_and_leaves_the_others_alone(value):
    a, b = NOISE.normal(size=(3, 5)).astype("float32"), NOISE.normal(size=(5, 2)).astype("float32")
    spoilt = a.copy()
    spoilt[1, 2] = value
    with np.errstate(invalid="ignore", over="ignore"):
        found = XP.matmul(spoilt, b)
    assert np.all(np.isnan(found[1]))
    np.testing.assert_array_equal(found[[0, 2]], XP.matmul(a, b)[[0, 2]])


def test_rows_of_zeros_and_huge_float64_rows_are_handled():
    a = np.asarray([[0.0, 0.0], [1e300, -2e300], [1e-300, 3e-300]])
    b = np.asarray([[1e-5, 0.0], [2e-5, 0.0]])
    np.testing.assert_allclose(XP.matmul(a, b), a @ b, rtol=1e-15)


@settings(max_examples=200, deadline=None)
@given(st.floats(min_value=2.0**-900, max_value=1.7e308, allow_subnormal=False))
def test_the_leading_power_is_the_largest_power_of_two_below(x):
    found = float(powers.leading_power(np, np.asarray([x]))[0])
    assert found == 2.0 ** (int(np.frexp(x)[1]) - 1)
