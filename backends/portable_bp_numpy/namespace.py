"""NumPy's Array API namespace, with those functions that NumPy doesn't hand over to recorded arguments."""

from __future__ import annotations

from typing import Any

import array_api_compat.numpy
import numpy as np

from portable_bp_numpy.recording import Recorded


class Namespace:
    """`array_api_compat.numpy`, in which a step can be recorded."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(array_api_compat.numpy, name)
        setattr(self, name, found)  # found once; later look-ups don't come here
        return found

    def take(self, x: Any, indices: Any, *, axis: Any = None) -> Any:
        """As `numpy.take`, whose protocol forgets that the indices may be what is recorded."""
        if isinstance(indices, Recorded):
            return indices.tape.record(np.take, (x, indices), {"axis": axis})
        return np.take(x, indices, axis=axis)

    def clip(self, x: Any, min: Any = None, max: Any = None) -> Any:
        """As `array_api_compat.numpy.clip`, which would write into an array that it has made itself."""
        if isinstance(x, Recorded):
            return np.clip(x, min, max)
        return array_api_compat.numpy.clip(x, min, max)

    def cumulative_sum(self, x: Any, **options: Any) -> Any:
        """As `array_api_compat.numpy.cumulative_sum`, which asks for the library of x."""
        return _of(x).cumulative_sum(x, **options)

    def cumulative_prod(self, x: Any, **options: Any) -> Any:
        """As `array_api_compat.numpy.cumulative_prod`, which asks for the library of x."""
        return _of(x).cumulative_prod(x, **options)


def _of(x: Any) -> Any:
    return np if isinstance(x, Recorded) else array_api_compat.numpy
