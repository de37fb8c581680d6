"""Powers of two that bound arrays: found by exact arithmetic, never by a logarithm."""

from __future__ import annotations

from portable_bp.arrays import Array, Namespace

MANTISSA = 53  # bits of a float64
SMALLEST = 2.0**-126
"""Smallest normal float32; below it some libraries flush to zero, so that nothing here depends on such values."""
FADED = 2.0**-96
"""Float32 results and states below this are zero: far enough above SMALLEST for a product with a rate or 1 - β."""
HUGE, TINY, NOTHING = 2.0**500, 2.0**-400, 2.0**-1000
SHIFT = 2.0**600

_SPREAD = 2.0**52 + 1.0
_BELOW_ONE = 1.0 - 2.0**-53


def leading_power(xp: Namespace, x: Array) -> Array:
    """Largest power of two that is at most x, for float64 x ≥ 0; 0 for x below 2⁻¹⁰⁰⁰, NaN for infinity and NaN."""
    one = xp.ones_like(x)
    shift = xp.where(x > HUGE, one / SHIFT, xp.where(x < TINY, one * SHIFT, one))  # powers of two: exact either way
    power = _power_below(xp, xp.where(x < NOTHING, xp.zeros_like(x), x) * shift)
    return power * xp.where(x > HUGE, one * SHIFT, xp.where(x < TINY, one / SHIFT, one))


def _power_below(xp: Namespace, x: Array) -> Array:
    """Largest power of two that is at most x, for 0 ≤ x far from the ends of the float64 range.

    Source: Rump, Ogita and Oishi, "Accurate floating-point summation", SIAM J. Sci. Comput. 31 (2008), algorithm 3.6:
    with q = (2⁵² + 1) x, rounded, |q - (1 - 2⁻⁵³) q| is the power exactly.
    """
    q = _SPREAD * x
    return xp.abs(q - _BELOW_ONE * q)


def bound(xp: Namespace, x: Array, axis: int) -> Array:
    """A float64 power of two above every |x| along ``axis``, kept as an axis of 1; 0 where all are 0."""
    largest = xp.maximum(xp.max(x, axis=axis, keepdims=True), -xp.min(x, axis=axis, keepdims=True))
    if x.dtype == xp.float64:
        return 2.0 * leading_power(xp, largest)
    return 2.0 * _power_below(xp, xp.astype(largest, xp.float64))  # no float32 comes near those ends


def bits_for(terms: int) -> int:
    """Number of bits that adding so many terms can need beyond those of one term."""
    return (terms - 1).bit_length()


def rounded(xp: Namespace, x: Array, unit: Array) -> Array:
    """X rounded to whole multiples of ``unit``, a power of two, for |x| ≤ 2⁵¹ unit: exactly, ties to even.

    1.5 · 2⁵² units are added and taken away again; in between the last bit of the sum is worth one unit.
    """
    magic = unit * (1.5 * 2.0**52)
    return (x + magic) - magic


def least_unit(xp: Namespace, dtype: object) -> float:
    """Smallest unit that terms are rounded to: a library may take anything smaller for zero."""
    return 2.0**-960 if dtype == xp.float64 else 2 * SMALLEST


def settled(xp: Namespace, y: Array, dtype: object) -> Array:
    """Round a float64 result to ``dtype`` once; float32 results that have faded are zero."""
    return y if dtype == xp.float64 else without_faded(xp, xp.astype(y, dtype))


def without_faded(xp: Namespace, x: Array) -> Array:
    """Float32 x with zeros where |x| < 2⁻⁹⁶."""
    return xp.where(xp.abs(x) < FADED, xp.zeros_like(x), x)
