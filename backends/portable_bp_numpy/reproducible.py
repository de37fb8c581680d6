"""Faster functions for reproducible arithmetic, above all the matrix product, with buffers that are kept.

Much of the portable version's time on NumPy goes into fresh memory for its intermediate arrays. Here they are written
into buffers that stay. Slices, products and the order of their addition are the same, and so is every bit.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from portable_bp.reproducible import powers
from portable_bp.reproducible.powers import FADED, MANTISSA, bits_for, bound
from portable_bp.reproducible.products import BLOCK, matmul
from portable_bp_numpy.recording import Recorded

LARGEST = 1 << 20
"""Elements of the largest buffer that is kept, 8 MB; larger products take the portable way."""
LEAST = 2.0**-70
"""Rows and columns of smaller numbers take the portable way too."""
KEPT = 64
"""Buffers kept a thread: some layers' worth; all are dropped when there are more."""


class Buffers(threading.local):
    """Float64 arrays by role and shape, one set a thread."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, tuple[int, ...], bool], Any] = {}

    def get(self, role: str, like: Any, dtype: Any = float) -> Any:
        """An array of the shape and memory order of ``like``, with anything in it."""
        columns = like.flags.f_contiguous and not like.flags.c_contiguous
        key = (role, like.shape, columns)
        if key not in self._arrays:
            if len(self._arrays) >= KEPT:
                self._arrays.clear()
            self._arrays[key] = np.empty(like.shape, dtype, "F" if columns else "C")
        return self._arrays[key]


_buffers = Buffers()


def exact_matmul(xp: Any, a: Any, b: Any) -> Any:
    """Product of two float32 matrices of moderate size; everything else as in the portable version.

    The slices are kept as whole numbers of their units, so that one scalar rounds them all; a power of two for each row
    of a and column of b is multiplied in at the end.
    """
    small = max(a.size, b.size, a.shape[0] * b.shape[-1]) <= LARGEST and a.shape[-1] <= BLOCK
    if not (a.ndim == b.ndim == 2 and a.dtype == b.dtype == np.float32 and small):
        return matmul(xp, a, b)
    recorded = next((x for x in (a, b) if isinstance(x, Recorded)), None)
    return product(a, b) if recorded is None else recorded.tape.record(product, (a, b))


def product(a: Any, b: Any, out: Any = None) -> Any:
    """As `exact_matmul` for matrices that it takes; into ``out``, if that is given."""
    bits = (MANTISSA - bits_for(a.shape[-1])) // 2
    a_top, b_top = (np.where(top == 0, 1.0, top) for top in (bound(np, a, -1), bound(np, b, -2)))
    out = np.empty((a.shape[0], b.shape[1]), np.float32) if out is None else out
    if not min(a_top.min(), b_top.min()) > LEAST:  # there the units would fall below the portable version's least one
        out[...] = matmul(np, a, b)
        return out
    high_a, low_a = _slices("a", a, a_top, bits)
    high_b, low_b = _slices("b", b, b_top, bits)
    total, term, faded = _buffers.get("total", out), _buffers.get("term", out), _buffers.get("faded", out, bool)
    np.matmul(high_a, low_b, out=total)
    total += np.matmul(low_a, high_b, out=term)
    total *= 2.0 ** -(bits + 1)
    total += np.matmul(high_a, high_b, out=term)
    total *= a_top * 4.0**-bits
    np.multiply(total, b_top, out=out, casting="same_kind")
    np.less(np.abs(out, out=term), FADED, out=faded)
    np.copyto(out, 0.0, where=faded)
    return out


def _slices(role: str, x: Any, top: Any, bits: int) -> tuple[Any, Any]:
    """Two slices of x as `portable_bp.reproducible.products.slices` cuts them, as whole numbers of their units."""
    high, low = _buffers.get(f"high {role}", x), _buffers.get(f"low {role}", x)
    np.multiply(x, 2.0**bits / top, out=low)
    np.rint(low, out=high)
    low -= high
    low *= 2.0 ** (bits + 1)
    np.rint(low, out=low)
    return high, low


def without_faded(xp: Any, x: Any) -> Any:
    """Float32 x with zeros where |x| < 2⁻⁹⁶; NumPy's `where` takes three times as long, unless it is recorded."""
    if isinstance(x, Recorded):
        return powers.without_faded(xp, x)
    cleared = np.array(x)
    np.copyto(cleared, 0.0, where=np.abs(cleared) < FADED)
    return cleared
