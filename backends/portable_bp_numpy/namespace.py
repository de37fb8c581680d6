"""NumPy's Array API namespace, with those functions that NumPy doesn't hand over to recorded arguments."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_bp_numpy.recording import Recorded

ADAPTED = frozenset(
    """
    argsort ceil count_nonzero fft finfo floor iinfo linalg nonzero sign sort std take_along_axis tensordot trunc
    unique_all unique_counts unique_inverse unique_values var
    """.split()  # noqa: SIM905 (twenty strings a line each would hide what is missing)
)
"""Functions that array_api_compat changes for the standard's sake; all others are NumPy's own, or do as these."""


class Namespace:
    """NumPy's functions as the standard has them, in which a step can be recorded.

    Where NumPy's own are not, they are array_api_compat's, whose `array_api_compat.numpy` is imported only then: it
    brings all that belongs to NumPy, Fortran's compiler and the tests, and takes longer than NumPy itself.
    """

    def __getattr__(self, name: str) -> Any:
        found = getattr(_compat() if name in ADAPTED or not hasattr(np, name) else np, name)
        setattr(self, name, found)  # found once; later look-ups don't come here
        return found

    def astype(self, x: Any, dtype: Any, *, copy: bool = True, device: Any = None) -> Any:
        """As `numpy.astype`, which takes no single numbers."""
        return x if not copy and dtype == x.dtype else x.astype(dtype, copy=copy)

    def matrix_transpose(self, x: Any) -> Any:
        """As `numpy.matrix_transpose`, recorded by a name that every CuPy has."""
        if x.ndim < 2:
            raise ValueError("matrix_transpose takes arrays of at least two axes")
        return np.swapaxes(x, -1, -2)

    def permute_dims(self, x: Any, axes: Any) -> Any:
        """As `numpy.permute_dims`, recorded by a name that every CuPy has."""
        return np.transpose(x, axes)

    def take(self, x: Any, indices: Any, *, axis: Any = None) -> Any:
        """As `numpy.take`, whose protocol forgets that the indices may be what is recorded."""
        if isinstance(indices, Recorded):
            return indices.tape.record(np.take, (x, indices), {"axis": axis})
        return np.take(x, indices, axis=axis)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        """As `array_api_compat.numpy.clip`, which would write into an array that it has made itself."""
        if isinstance(x, Recorded):
            return np.clip(x, min, max)
        return _compat().clip(x, min, max)

    def cumulative_sum(self, x: Any, **options: Any) -> Any:
        """As `array_api_compat.numpy.cumulative_sum`, which asks for the library of x."""
        return _of(x).cumulative_sum(x, **options)

    def cumulative_prod(self, x: Any, **options: Any) -> Any:
        """As `array_api_compat.numpy.cumulative_prod`, which asks for the library of x."""
        return _of(x).cumulative_prod(x, **options)


def _of(x: Any) -> Any:
    return np if isinstance(x, Recorded) else _compat()


def _compat() -> Any:
    import array_api_compat.numpy

    return array_api_compat.numpy
