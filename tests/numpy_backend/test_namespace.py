"""NumPy's own functions wherever they are the standard's, and array_api_compat's, imported late, where they aren't."""

import array_api_compat.numpy as compat
import numpy as np
import pytest

from portable_bp_numpy.namespace import ADAPTED, Namespace

X = np.asarray([[1.5, -2.5, 0.5], [3.0, 0.0, -1.0]])
ALIKE = {
    "arange": lambda xp: xp.arange(1, 9, 2, dtype=xp.int64, device="cpu"),
    "asarray": lambda xp: xp.asarray([1, 2.5], dtype=xp.float32, device="cpu", copy=True),
    "astype": lambda xp: xp.astype(X, xp.int64, copy=False),
    "clip": lambda xp: xp.clip(X, -1, 1),
    "cumulative_prod": lambda xp: xp.cumulative_prod(X, axis=1),
    "cumulative_sum": lambda xp: xp.cumulative_sum(X, axis=0, include_initial=True),
    "empty": lambda xp: 0 * xp.empty((2, 3), dtype=xp.int64, device="cpu"),
    "empty_like": lambda xp: 0 * xp.empty_like(X, dtype=xp.int64, device="cpu"),
    "eye": lambda xp: xp.eye(2, 3, k=1, dtype=xp.float32, device="cpu"),
    "full": lambda xp: xp.full((2,), 7.0, dtype=xp.float32, device="cpu"),
    "full_like": lambda xp: xp.full_like(X, 7, dtype=xp.float32, device="cpu"),
    "linspace": lambda xp: xp.linspace(0, 1, 3, dtype=xp.float32, endpoint=False, device="cpu"),
    "matmul": lambda xp: xp.matmul(X, X.T),
    "matrix_transpose": lambda xp: xp.matrix_transpose(X),
    "ones": lambda xp: xp.ones((2,), dtype=xp.float32, device="cpu"),
    "ones_like": lambda xp: xp.ones_like(X, dtype=xp.float32, device="cpu"),
    "permute_dims": lambda xp: xp.permute_dims(X, (1, 0)),
    "zeros": lambda xp: xp.zeros((2,), device="cpu"),
    "zeros_like": lambda xp: xp.zeros_like(X, device="cpu"),
}
"""Functions that array_api_compat wraps and that NumPy has as well; called as the standard says."""


def names():
    functions = (name for name in dir(compat) if not name.startswith("_") and callable(getattr(compat, name)))
    return [name for name in (*functions, "fft", "linalg") if not name.endswith("Result")]


@pytest.mark.parametrize("name", names())
def test_every_name_of_array_api_compat_is_there_and_means_the_same(name):
    own, wrapped = getattr(Namespace(), name), getattr(compat, name)
    if name in ALIKE:
        np.testing.assert_array_equal(ALIKE[name](Namespace()), ALIKE[name](compat), strict=True)
    elif name == "take":  # also in a recording
        np.testing.assert_array_equal(own(X, np.asarray([1]), axis=1), wrapped(X, np.asarray([1]), axis=1), strict=True)
    else:
        assert own is wrapped


def test_what_is_said_to_be_adapted_is():
    assert {name for name in ADAPTED if getattr(compat, name) is getattr(np, name, None)} == set()


def test_astype_takes_single_numbers_and_copies_unless_told_otherwise():
    xp = Namespace()
    assert xp.astype(np.float64(1.5), xp.float32).dtype == np.float32
    assert not np.may_share_memory(xp.astype(X, X.dtype), X)
    assert xp.astype(X, X.dtype, copy=False) is X


def test_a_matrix_has_two_axes():
    with pytest.raises(ValueError, match="at least two axes"):
        Namespace().matrix_transpose(np.zeros(3))
