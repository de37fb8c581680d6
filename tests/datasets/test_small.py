"""The sets of E1 and E2, point by point."""

import re

import numpy as np
import pytest

from portable_bp import datasets
from portable_bp.datasets import linear, one_hot, xor
from portable_bp.errors import ConfigurationError

NAMES = """
    Dataset Split fashion_mnist iris linear mnist one_hot read_idx to_one_hot xor
"""


def test_the_package_offers_exactly_these_names():
    assert sorted(datasets.__all__) == NAMES.split()
    assert all(callable(getattr(datasets, name)) for name in datasets.__all__)


@pytest.mark.parametrize("n", [1, 8])
def test_one_hot_is_the_identity_twice_and_not_shared(n):
    x, y = one_hot(n)
    assert (x.dtype, y.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(x, np.eye(n))
    np.testing.assert_array_equal(y, np.eye(n))
    assert not np.shares_memory(x, y)


@pytest.mark.parametrize("n", [1, 100, 1000])
def test_linear_labels_the_points_above_the_diagonal_one(n):
    x, y = linear(n, seed=3)
    assert (x.shape, y.shape) == ((n, 2), (n, 1))
    assert (x.dtype, y.dtype) == (np.float64, np.float64)
    assert ((x >= 0) & (x < 1)).all()
    assert y[:, 0].tolist() == [float(x2 > x1) for x1, x2 in x]


def test_linear_fills_the_square_evenly():
    x, y = linear(10_000)
    counts, _, _ = np.histogram2d(x[:, 0], x[:, 1], bins=4, range=[[0, 1], [0, 1]])
    assert counts.min() > 500  # 625 expected in each of 16 cells, standard deviation 24
    assert counts.max() < 750
    assert 0.48 < y.mean() < 0.52  # standard deviation 0.005


def test_linear_has_100_points_and_the_seed_alone_decides_them():
    assert linear().x.shape == (100, 2)
    np.testing.assert_array_equal(linear(seed=5).x, linear(seed=5).x)
    assert not np.array_equal(linear(seed=5).x, linear(seed=6).x)


def test_xor_is_21_points_along_the_diagonals():
    x, y = xor()
    assert (x.shape, y.shape) == ((21, 2), (21, 1))
    assert (x.dtype, y.dtype) == (np.float64, np.float64)
    rising = {(i, i): 0.0 for i in range(11)}
    falling = {(i, 10 - i): 1.0 for i in range(11) if i != 5}
    tenths = np.rint(10 * x).astype(int).tolist()
    assert {(i, j): k for (i, j), (k,) in zip(tenths, y, strict=True)} == rising | falling
    np.testing.assert_allclose(10 * x, tenths, rtol=0, atol=1e-14)


BAD = [
    (one_hot, "n", 0),
    (one_hot, "n", 8.0),
    (linear, "n", 0),
    (linear, "n", "100"),
    (linear, "seed", -1),
    (linear, "seed", 2**64),
]


@pytest.mark.parametrize(("make", "name", "value"), BAD)
def test_a_number_that_can_not_be_used_is_refused(make, name, value):
    with pytest.raises(ConfigurationError, match=re.escape(f"{name}={value!r}: it must be a whole number")):
        make(**{name: value})
