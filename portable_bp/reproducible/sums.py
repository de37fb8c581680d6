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
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    bits = MANTISSA - 1 - bits_for(prod(x.shape[i] for i in axes))
    unit = bound(xp, x, axes) * 2.0**-bits
    least = xp.full_like(unit, least_unit(xp, x.dtype))
    unit, terms = xp.maximum(unit, least), xp.astype(x, xp.float64, copy=False)
    coarse = rounded(xp, terms, unit)
    total = xp.sum(coarse, axis=axes, keepdims=keepdims)
    if x.dtype == xp.float64:
        fine = rounded(xp, terms - coarse, xp.maximum(unit * 2.0 ** -(bits + 1), least))
        total = total + xp.sum(fine, axis=axes, keepdims=keepdims)
    return settled(xp, total, x.dtype)
