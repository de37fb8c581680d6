"""Elementary functions as fixed sequences of correctly rounded float64 operations.

Each takes and gives float64; float32 arguments are widened before and rounded once after. Multiplications and additions
are separate operations, never contracted, and divisions are of arrays by arrays.
"""

from __future__ import annotations

from math import factorial, log, sqrt

from portable_bp.arrays import Array, Namespace
from portable_bp.reproducible.powers import leading_power

LN2_HIGH, LN2_LOW = (
    6.93147180369123816490e-01,
    1.90821492927058770002e-10,
)  # ln 2; the first has 32 bits, so k·it is exact
HALF_PI_HIGH, HALF_PI_LOW = 1.57079632673412561417e00, 6.07710050650619224932e-11  # π/2 likewise, 33 bits
LARGEST, LEAST = 709.78, -708.0  # e to these is just below overflow, just above the smallest normal number
EXP = [1.0 / factorial(n) for n in range(14)]  # |r| ≤ ½ ln 2 leaves 4·10⁻¹⁸
COSINE = [(-1.0) ** n / factorial(2 * n) for n in range(13)]  # |r| ≤ π/2 leaves 3·10⁻²²
LOG = [  # minimax polynomial for (log(1+s) - log(1-s))/s in s², |error| < 2⁻⁵⁸·⁴⁵
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
]


def polynomial(coefficients: list[float], x: Array) -> Array:
    """Σ c_n xⁿ by Horner's rule."""
    y = x * coefficients[-1] + coefficients[-2]
    for c in reversed(coefficients[:-2]):
        y = y * x + c
    return y


def exp(xp: Namespace, x: Array, powers: Array) -> Array:
    """eˣ within 2 units in the last place; 0 below -708, infinity above 709.78.

    x = k ln 2 + r with whole k and |r| ≤ ½ ln 2, so eˣ = 2ᵏ eʳ; eʳ by its series to r¹³. ``powers``: 2ⁿ at n + 600.
    """
    inside = xp.minimum(xp.maximum(x, xp.full_like(x, LEAST)), xp.full_like(x, LARGEST))
    k = xp.round(inside * (1.0 / log(2.0)))
    y = polynomial(EXP, (inside - k * LN2_HIGH) - k * LN2_LOW)
    half = xp.floor(0.5 * k)
    y = (y * power_of_two(xp, half, powers)) * power_of_two(xp, k - half, powers)
    y = xp.where(x < LEAST, xp.zeros_like(y), xp.where(x > LARGEST, xp.full_like(y, float("inf")), y))
    return xp.where(x == x, y, x)


def power_of_two(xp: Namespace, k: Array, powers: Array) -> Array:
    """2ᵏ for whole -600 ≤ k ≤ 600, from the table; NaN is taken as 0."""
    index = xp.astype(xp.where(k == k, k, xp.zeros_like(k)) + 600.0, xp.int64)
    return xp.reshape(xp.take(powers, xp.reshape(index, (-1,)), axis=0), k.shape)


def natural_log(xp: Namespace, x: Array) -> Array:
    """Ln x within 1 unit in the last place, for normal x > 0; -infinity at 0 and below 2⁻¹⁰⁰⁰, NaN below 0.

    x = 2ᵏ (1 + f) with √½ < 1 + f ≤ √2, and ln(1 + f) from s = f / (2 + f). The whole k comes from the exact power of
    two below x; its logarithm needs only to be right to the next whole number.

    Source: Ng's algorithm in Sun's fdlibm (1993), e_log.c.
    """
    usable = (x > 0) & (x < float("inf"))
    power = leading_power(xp, xp.where(usable, x, xp.ones_like(x)))
    found = power > 0
    power = xp.where(found, power, xp.ones_like(power))
    fraction = xp.divide(xp.where(usable & found, x, xp.ones_like(x)), power)
    large = fraction > sqrt(2.0)
    k = xp.round(xp.log2(power)) + xp.astype(large, xp.float64)
    f = xp.where(large, 0.5 * fraction, fraction) - 1.0
    y = _log_of_one_plus(xp, f, k)
    y = xp.where(found, y, xp.full_like(y, float("-inf")))
    y = xp.where(x == float("inf"), x, xp.where(x == 0, xp.full_like(y, float("-inf")), y))
    return xp.where(x >= 0, y, xp.full_like(y, float("nan")))


def _log_of_one_plus(xp: Namespace, f: Array, k: Array) -> Array:
    s = xp.divide(f, 2.0 + f)
    z = s * s
    remainder = z * polynomial(LOG, z)
    half_square = 0.5 * f * f
    return k * LN2_HIGH - ((half_square - (s * (half_square + remainder) + k * LN2_LOW)) - f)


def log1p(xp: Namespace, x: Array) -> Array:
    """ln(1 + x) within 3 units in the last place: ln u + (x - (u - 1)) / u with u = 1 + x rounded."""
    u = 1.0 + x
    usable = (u > 0) & (u < float("inf"))
    lost = xp.divide(x - (u - 1.0), xp.where(usable, u, xp.ones_like(u)))
    return natural_log(xp, u) + xp.where(usable, lost, xp.zeros_like(lost))


def expm1(xp: Namespace, x: Array, powers: Array) -> Array:
    """eˣ - 1 within 5 units in the last place: (u - 1) x / ln u with u = eˣ rounded; u itself above 40.

    Source: Kahan, in Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (2002), section 1.14.1.
    """
    u = exp(xp, x, powers)
    plain = (u == 1.0) | (u == 0.0) | (x > 40.0) | (x != x)
    safe = xp.where(plain, xp.full_like(u, 2.0), u)
    y = xp.divide((safe - 1.0) * xp.where(plain, xp.ones_like(x), x), natural_log(xp, safe))
    return xp.where(u == 1.0, x, xp.where(plain, u - 1.0, y))


def tanh(xp: Namespace, x: Array, powers: Array) -> Array:
    """Tanh x within 8 units in the last place: -t / (t + 2) with t = e^(-2|x|) - 1, and the sign of x."""
    t = expm1(xp, -2.0 * xp.abs(x), powers)
    y = xp.divide(-t, t + 2.0)
    return xp.where(x < 0, -y, y)


def power(xp: Namespace, base: Array, exponent: Array, powers: Array) -> Array:
    """Base to the exponent for base ≥ 0, relative error (2 + 2 |exponent · ln base|) 2⁻⁵²; NaN for a negative base."""
    positive = base > 0
    y = exp(xp, exponent * natural_log(xp, xp.where(positive, base, xp.ones_like(base))), powers)
    at_zero = xp.where(exponent == 0, xp.ones_like(y), xp.zeros_like(y))
    return xp.where(positive, y, xp.where(base == 0, at_zero, xp.full_like(y, float("nan"))))


def cos(xp: Namespace, x: Array) -> Array:
    """Cos x with an absolute error below 4·10⁻¹⁶ for |x| ≤ 10⁵: x reduced by whole multiples of π, then the series."""
    n = xp.round(x * (0.5 / (HALF_PI_HIGH + HALF_PI_LOW)))
    r = (x - n * (2 * HALF_PI_HIGH)) - n * (2 * HALF_PI_LOW)
    y = polynomial(COSINE, r * r)
    odd = n - 2.0 * xp.floor(0.5 * n)
    return y * (1.0 - 2.0 * odd)


def square_root(xp: Namespace, x: Array) -> Array:
    """√x, correctly rounded but for ties that a float64 can't tell: the library's root and its exact residual.

    With s the library's root, s² = p + e exactly (Dekker's product), and √x = s + (x - p - e) / 2s to first order.
    """
    small = x < 2.0**-700
    scaled = xp.where(small, x * 2.0**600, x)
    s = xp.sqrt(scaled)
    usable = (s > 0) & (s < float("inf"))
    safe = xp.where(usable, s, xp.ones_like(s))
    residual = _minus_square(xp.where(usable, scaled, xp.ones_like(s)), safe)
    s = xp.where(usable, safe + xp.divide(residual, 2.0 * safe), s)
    return xp.where(small, s * 2.0**-300, s)


def _minus_square(x: Array, s: Array) -> Array:
    """X - s² with s² exact as p + e. Source: Dekker, Numer. Math. 18 (1971)."""
    spread = s * (2.0**27 + 1.0)
    high = spread - (spread - s)
    low = s - high
    p = s * s
    e = ((high * high - p) + 2.0 * high * low) + low * low
    return (x - p) - e
