"""What every check requires of the arrays that come back, each broken requirement a GradientError by name."""

from __future__ import annotations

from typing import Any

import numpy as np

from portable_bp.arrays import HostArray
from portable_bp.backend import Backend
from portable_bp.checking.comparison import TOLERANCE, difference
from portable_bp.checking.differences import Comparison
from portable_bp.errors import GradientError

BATCH, NETWORKS = 5, 3  # unlike each other and every other size, so that no axis is taken for another
DTYPES = ("float64", "float32")
RTOL, ATOL = 1e-6, 1e-8  # of gradients against central differences in float64
Arrays = dict[str, Any]


def read(part: Any, backend: Backend, arrays: Arrays) -> Arrays:
    """Read arrays from the device, having checked that they are on it."""
    for name, array in arrays.items():
        if not backend.owns(array):
            raise GradientError(f"{part}: {name} is {type(array).__name__}, not an array on {backend}")
    return {name: backend.to_numpy(array) for name, array in arrays.items()}


def require_untouched(part: Any, backend: Backend, arrays: Arrays, before: Arrays) -> None:
    """Refuse a part that wrote into its arguments."""
    for name, array in arrays.items():
        if not np.array_equal(backend.to_numpy(array), before[name]):
            raise GradientError(f"{part} wrote into its argument {name}")


def require_same_form(part: Any, name: str, found: HostArray, wanted: HostArray) -> None:
    """Require the dtype and shape of ``wanted``."""
    if found.shape != wanted.shape or found.dtype != wanted.dtype:
        raise GradientError(
            f"{part}: {name} must be {wanted.dtype} of shape {wanted.shape}; it is {found.dtype} of shape {found.shape}"
        )


def require_same(part: Any, name: str, found: HostArray, wanted: HostArray) -> None:
    """Require the dtype, shape and every element of ``wanted``."""
    require_same_form(part, name, found, wanted)
    if not np.array_equal(found, wanted):
        raise GradientError(f"{part}: {name} must be {wanted.tolist()}; it is {found.tolist()}")


def require_close(found: Arrays, expected: Arrays, dtype: str, what: str) -> None:
    """Require the same names and, but for rounding, the same arrays."""
    if set(found) != set(expected):
        raise GradientError(f"{what}: has the arrays {sorted(found)}, not {sorted(expected)}")
    for name, array in expected.items():
        size = difference(np.asarray(found[name]), np.asarray(array))
        if not size <= TOLERANCE[dtype]:
            raise GradientError(f"{what}: {name} differs by {size:.3g} in {dtype}; allowed are {TOLERANCE[dtype]:g}")


def require_right(whose: str, result: Comparison) -> None:
    """Require that a gradient is the one which central differences give."""
    if result.wrong:
        raise GradientError(f"{whose} by {result.worst:.3g} times the tolerance, worst {result.words}")


def require_separate(part: Any, together: Arrays, separate: Arrays, dtype: str) -> None:
    """Require that K networks at once, stacked along the first axis, are K networks one by one."""
    for name, array in separate.items():
        if name in together and together[name].shape != array.shape:
            raise GradientError(
                f"{part}: {NETWORKS} networks at once: {name} has the shape {together[name].shape}, not {array.shape}: "
                "count axes from the end; sum a parameter's gradient over axis=-2, keepdims=True, not over axis=0"
            )
    require_close(together, separate, dtype, f"{part}: {NETWORKS} networks at once against one by one")
