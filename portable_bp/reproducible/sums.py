"""Sums whose partial sums are all exact."""

from __future__ import annotations

from math import prod
from typing import Any

from portable_bp.arrays import Array, Namespace
from portable_bp.reproducible.powers import MANTISSA, bits_for, bound, least_unit, rounded, settled


def exact_sum(xp: Namespace, x: Array, *, axis: Any = None, keepdims: bool = False) -> Array:
    """Sum of float32 or float64 x over ``axis`` (an int, a tuple, or None for all).

    The n terms are rounded to whole multiples of a unit so large that no partial sum can need more than 53 bits: the
    order of summation can't matter. float64 terms are cut into two such parts, which are added at the end.

    Error, with A the largest |x|: 2⁻²⁴ |Σ x| + 2 n² 2⁻⁵² A + n 2⁻¹²⁶ for float32 (terms are seen to whole multiples of
    2⁻¹²⁵), and a result below 2⁻⁹⁶ is 0; 2⁻⁵² |Σ x| + 2 n³ 2⁻¹⁰³ A for float64, with n A < 2¹⁰²⁰.

    Source: Demmel and Nguyen, "Fast reproducible floating-point summation", ARITH 21 (2013).
    """
    if not xp.isdtype(x.dtype, "real floating"):
        return xp.sum(x, axis=axis, keepdims=keepdims)
    axes = _axes(axis, x.ndim)
    kept = [i for i in range(x.ndim) if i not in axes]
    rows = xp.reshape(xp.permute_dims(x, (*kept, *axes)), (*(x.shape[i] for i in kept), prod(x.shape[i] for i in axes)))
    total = settled(xp, _row_sums(xp, rows), x.dtype)
    return xp.reshape(total, tuple(1 if i in axes else n for i, n in enumerate(x.shape))) if keepdims else total


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    given = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(i % ndim for i in given)


def _row_sums(xp: Namespace, rows: Array) -> Array:
    """Sums along the last axis of ``rows``, float64; of float64 terms twice as many bits are kept."""
    bits = MANTISSA - 1 - bits_for(rows.shape[-1])
    unit = bound(xp, rows, -1) * 2.0**-bits
    least = xp.full_like(unit, least_unit(xp, rows.dtype))
    unit = xp.maximum(unit, least)
    double, rows = rows.dtype == xp.float64, xp.astype(rows, xp.float64, copy=False)
    coarse = rounded(xp, rows, unit)
    total = xp.sum(coarse, axis=-1)
    if double:
        fine_unit = xp.maximum(unit * 2.0 ** -(bits + 1), least)
        total = total + xp.sum(rounded(xp, rows - coarse, fine_unit), axis=-1)
    return total
