"""Trees are taken apart into JSON and arrays, and put together again."""

import json

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.packing import packed, unpacked


def array(leaf):
    return leaf if isinstance(leaf, np.ndarray) else None


def test_a_tree_comes_back_with_its_arrays_where_they_were():
    tree = {"a": [1, 2.5, None, True, "x", np.arange(3)], "b": {"c": np.ones((2, 1))}, "d": (np.zeros(()), [])}
    tensors = {}
    text = json.dumps(packed(tree, "top", array, tensors))
    assert set(tensors) == {"top.a.5", "top.b.c", "top.d.0"}
    back = unpacked(json.loads(text), tensors)
    np.testing.assert_equal(back, {**tree, "d": [np.zeros(()), []]})


def test_arrays_whose_paths_read_alike_stay_apart():
    tree = {"a.b": np.ones(1), "a": {"b": np.zeros(1)}}
    tensors = {}
    back = unpacked(packed(tree, "top", array, tensors), tensors)
    assert (back["a.b"], back["a"]["b"]) == (1, 0)


@pytest.mark.parametrize("key", ["$array", 3, None])
def test_keys_that_would_not_come_back_are_refused(key):
    with pytest.raises(bp.ConfigurationError, match="keys must be strings other than"):
        packed({key: 1}, "state", array, {})


@pytest.mark.parametrize("name", ["b", 3, ["a"], None])
def test_an_array_that_is_missing_is_missed(name):
    with pytest.raises(bp.FileError, match="is missing"):
        unpacked({"x": {"$array": name}}, {"a": np.ones(1)})
