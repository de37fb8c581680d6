"""to_one_hot puts its one in the label's column, and refuses what is no class number."""

import re

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from portable_bp.datasets import to_one_hot
from portable_bp.errors import ConfigurationError, DataError


def test_label_k_is_row_k_of_the_identity():
    y = to_one_hot([2, 0, 1, 2], 4)
    assert y.dtype == np.float64
    np.testing.assert_array_equal(y, np.eye(4)[[2, 0, 1, 2]])


@given(hnp.arrays(hnp.integer_dtypes() | hnp.unsigned_integer_dtypes(), 7, elements=st.integers(0, 9)))
def test_argmax_gives_the_labels_back(labels):
    y = to_one_hot(labels, 10)
    assert y.shape == (7, 10)
    np.testing.assert_array_equal(y.argmax(axis=1), labels)
    np.testing.assert_array_equal(y.sum(axis=1), 1)


REFUSED = {
    "too high": ([0, 3], "label 3 at position 1 is out of range"),
    "negative": ([0, 1, -1], "label -1 at position 2 is out of range"),
    "fractions": ([0.5, 1.0], "labels are float64"),
    "floats that are whole": (np.array([0.0, 1.0], np.float32), "labels are float32"),
    "truth values": ([True, False], "labels are bool"),
    "words": (["setosa"], "labels are <U6"),
    "one-hot already": (np.eye(3, dtype=int), "labels have shape (3, 3)"),
    "a column": ([[0], [1]], "labels have shape (2, 1)"),
    "a single number": (1, "labels have shape ()"),
    "none at all": ([], "labels have shape (0,)"),
    "ragged": ([[0], [1, 2]], "labels of type list are no NumPy array"),
}


@pytest.mark.parametrize(("labels", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_class_number_is_refused(labels, reason):
    with pytest.raises(DataError, match=re.escape(reason)) as caught:
        to_one_hot(labels, 3)
    assert "; " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("n_classes", [0, -1, 3.0, None, True])
def test_a_number_of_classes_that_is_none_is_refused(n_classes):
    with pytest.raises(ConfigurationError, match="whole number of at least 1"):
        to_one_hot([0], n_classes)
