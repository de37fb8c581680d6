"""Matrix products whose partial sums are all exact."""

from __future__ import annotations

from portable_bp.arrays import Array, Namespace
from portable_bp.reproducible.powers import MANTISSA, bits_for, bound, least_unit, rounded, settled

BLOCK = 4096
"""Longest sum of products taken at once; longer ones are cut, and the parts added in order."""


def matmul(xp: Namespace, a: Array, b: Array) -> Array:
    """Matrix product a b, (…, m, k) and (…, k, n) to (…, m, n), of float32 or float64.

    Each row of a and column of b is cut into slices of p = ⌊(53 - ⌈log₂ k⌉) / 2⌋ bits, relative to a power of two above
    its largest element: a = a₁ + a₂ (+ a₃) + rest. A product of two slices is then a whole multiple of a common unit
    below 2⁵³ units, and so is every partial sum, in whatever order, with or without fused multiply-add. These products
    are added in a fixed order, smallest first, and rounded once.

    Error, with A and B the largest |a| of the row and |b| of the column: 2⁻²⁴ |a b| + 2⁻³⁷ k A B + 2⁻¹²⁴ k (A + B) for
    float32 (two slices, three products; operands are seen to whole multiples of 2⁻¹²⁵), and a result below 2⁻⁹⁶ is 0;
    2⁻⁵² |a b| + 2⁻⁵⁷ k A B for float64 (three slices, six products), and for k > 4096 also 2⁻⁵³ Σ |part|. A row or
    column with an infinity, a NaN, or a float64 number above 2¹⁰²⁰ / k gives NaN or infinity.

    Source: Ozaki, Ogita, Oishi and Rump, Numer. Algorithms 59 (2012).
    """
    k, dtype = a.shape[-1], a.dtype
    parts = [_block(xp, a[..., i : min(i + BLOCK, k)], b[..., i : min(i + BLOCK, k), :]) for i in range(0, k, BLOCK)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return settled(xp, total, dtype)


def _block(xp: Namespace, a: Array, b: Array) -> Array:
    """Product of at most BLOCK terms, float64, not yet rounded to the dtype."""
    bits = (MANTISSA - bits_for(a.shape[-1])) // 2
    a_top, b_top = bound(xp, a, -1), bound(xp, b, -2)
    if a.dtype == xp.float32:
        return _combined(xp, slices(xp, a, a_top, bits, 2), slices(xp, b, b_top, bits, 2))
    one = xp.ones_like(a_top[..., :1, :])
    left, right = (slices(xp, _over(xp, x, top), one, bits, 3) for x, top in ((a, a_top), (b, b_top)))
    return (_combined(xp, left, right) * a_top) * b_top


def _over(xp: Namespace, x: Array, top: Array) -> Array:
    """Divide x by top, so that no product can overflow; a top of 0 has zeros above it."""
    return xp.divide(x, xp.where(top == 0, xp.ones_like(top), top))


def slices(xp: Namespace, x: Array, top: Array, bits: int, count: int) -> list[Array]:
    """Cut x into ``count`` float64 slices of ``bits`` bits, largest first; ``top`` is a power of two above all |x|.

    The unit of a slice is never so small that a library may flush multiples of it to zero.
    """
    least = least_unit(xp, x.dtype)
    unit, rest, parts = top * 2.0**-bits, xp.astype(x, xp.float64, copy=False), []
    for number in range(count):
        unit = xp.maximum(unit, xp.full_like(unit, least))
        parts.append(rounded(xp, rest, unit))
        if number + 1 < count:
            rest = rest - parts[-1]  # exact, at most half a unit
            unit = unit * 2.0 ** -(bits + 1)
    return parts


def _combined(xp: Namespace, left: list[Array], right: list[Array]) -> Array:
    """Σ left_i right_j over i + j < count, the smallest products first."""
    count = len(left)
    pairs = [(i, total - i) for total in reversed(range(count)) for i in range(total + 1)]
    products = [xp.matmul(left[i], right[j]) for i, j in pairs]
    result = products[0]
    for product in products[1:]:
        result = result + product
    return result
