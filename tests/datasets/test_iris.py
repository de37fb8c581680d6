"""Iris is Fisher's table, split without loss, the same way for the same seed."""

import re

import numpy as np
import pytest

from portable_bp.datasets import iris
from portable_bp.errors import ConfigurationError


def whole(data):
    return np.column_stack([np.concatenate(pair) for pair in zip(data.train, data.test, strict=True)])


def in_order(rows):
    return rows[np.lexsort(rows.T)]


def test_150_flowers_come_as_130_and_20_in_centimetres():
    data = iris()
    assert (data.name, data.n_classes, data.validation) == ("iris", 3, None)
    assert data.train.x.shape == (130, 4)
    assert data.train.y.shape == (130,)
    assert data.test.x.shape == (20, 4)
    assert (data.test.x.dtype, data.test.y.dtype) == (np.float64, np.int64)
    assert np.bincount(whole(data)[:, 4].astype(int)).tolist() == [50, 50, 50]


def test_the_table_has_fishers_own_means_and_rows():
    """Means: Fisher (1936), table II. Rows: his 35th and 38th setosa, wrong in the UCI copy."""
    rows = whole(iris())
    means = [rows[rows[:, 4] == k, :4].mean(axis=0) for k in range(3)]
    np.testing.assert_allclose(
        means,
        [[5.006, 3.428, 1.462, 0.246], [5.936, 2.770, 4.260, 1.326], [6.588, 2.974, 5.552, 2.026]],
        rtol=0,
        atol=1e-12,
    )
    for flower in ([4.9, 3.1, 1.5, 0.2, 0], [4.9, 3.6, 1.4, 0.1, 0]):
        assert (rows == flower).all(axis=1).any()


def test_the_table_is_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets", reason="pip install scikit-learn to compare")
    x, y = datasets.load_iris(return_X_y=True)
    np.testing.assert_array_equal(in_order(whole(iris())), in_order(np.column_stack([x, y])))


@pytest.mark.parametrize("test", [1, 20, 149])
def test_every_flower_is_in_one_part_whatever_the_cut(test):
    data = iris(seed=1, test=test)
    assert len(data.test.y) == test
    np.testing.assert_array_equal(in_order(whole(data)), in_order(whole(iris())))


def test_the_seed_alone_decides_the_order():
    np.testing.assert_array_equal(whole(iris(7)), whole(iris(7)))
    assert not np.array_equal(whole(iris(7)), whole(iris(8)))


def test_the_default_split_stays_what_it_is():
    """NumPy promises Philox's bits, not what permutation makes of them: a change shows here."""
    assert "".join(map(str, iris().test.y)) == "02200002002011221021"


BAD = {"seed": [-1, 2**64, 1.0, "4", None, False], "test": [0, 150, -20, 0.2, True]}


@pytest.mark.parametrize(("name", "value"), [(name, v) for name in BAD for v in BAD[name]])
def test_a_seed_or_size_that_can_not_be_is_refused(name, value):
    with pytest.raises(ConfigurationError, match=re.escape(f"{name}={value!r}: it must be a whole number")):
        iris(**{name: value})
