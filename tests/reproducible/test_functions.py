"""The functions against 60-digit values, within the bound that each one states; and the same bits everywhere."""

import mpmath
import numpy as np
import pytest

import portable_bp as bp
from portable_bp.reproducible import with_arithmetic

NUMPY = with_arithmetic(bp.get_backend("numpy"), "reproducible")
NOISE = np.random.default_rng(0)
WIDE = NOISE.normal(size=1500) * np.exp(NOISE.uniform(-20, 2, 1500))
RISING = np.concatenate([WIDE, NOISE.uniform(-40, 709, 500)])
# name: (true function, arguments, units in the last place that the docstring allows in float64)
FUNCTIONS = {
    "exp": (mpmath.exp, NOISE.uniform(-700, 700, 1500), 2),
    "expm1": (mpmath.expm1, RISING, 5),
    "log": (mpmath.log, np.exp(NOISE.uniform(-600, 600, 1500)), 1),
    "log1p": (mpmath.log1p, np.concatenate([np.exp(NOISE.uniform(-30, 3, 1000)), -NOISE.uniform(0, 0.99, 500)]), 3),
    "tanh": (mpmath.tanh, WIDE, 8),
    "sqrt": (mpmath.sqrt, np.exp(NOISE.uniform(-600, 600, 1500)), 0.5000001),
}
SPECIAL = np.asarray(
    [0.0, -0.0, 1.0, -1.0, 1e-310, 1e-45, 5e-324, np.inf, -np.inf, np.nan, 1e308, -1e308, 710.0, -710.0]
)
AT_SPECIAL = {
    "exp": [1, 1, np.e, 1 / np.e, 1, 1, 1, np.inf, 0, np.nan, np.inf, 0, np.inf, 0],
    "expm1": [0, 0, np.e - 1, 1 / np.e - 1, 1e-310, 1e-45, 5e-324, np.inf, -1, np.nan, np.inf, -1, np.inf, -1],
    "tanh": [0, 0, np.tanh(1), -np.tanh(1), 1e-310, 1e-45, 5e-324, 1, -1, np.nan, 1, -1, 1, -1],
}


def in_ulp(found, true):
    spacing = np.spacing(np.abs(found.dtype.type(float(true))))
    return float(abs(mpmath.mpf(float(found)) - true) / mpmath.mpf(float(spacing)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float64_results_are_within_the_stated_bound_of_60_digit_values(name):
    function, x, bound = FUNCTIONS[name]
    with mpmath.workdps(60):
        worst = max(
            in_ulp(y, function(mpmath.mpf(float(v)))) for v, y in zip(x, getattr(NUMPY.xp, name)(x), strict=True)
        )
    assert worst <= bound


@pytest.mark.parametrize("name", FUNCTIONS)
def test_float32_results_are_correctly_rounded_but_for_the_rarest_ties(name):
    function, x, _ = FUNCTIONS[name]
    single = (
        np.clip(x, -66, 80).astype(np.float32)
        if name in ("exp", "expm1")
        else np.where((abs(x) > 1e-30) & (abs(x) < 1e30), x, 0.5).astype(np.float32)
    )
    with mpmath.workdps(60):
        found = getattr(NUMPY.xp, name)(single)
        worst = max(in_ulp(y, function(mpmath.mpf(float(v)))) for v, y in zip(single, found, strict=True))
    assert found.dtype == np.float32
    assert worst <= 0.5001


def test_cos_has_a_small_absolute_error_and_pow_a_small_relative_one():
    x = NOISE.uniform(-1e5, 1e5, 1500)
    with mpmath.workdps(60):
        assert (
            max(abs(float(y) - float(mpmath.cos(mpmath.mpf(v)))) for v, y in zip(x, NUMPY.xp.cos(x), strict=True))
            < 4e-16
        )
        for base in (0.9, 0.999):
            t = np.arange(1.0, 3000.0)
            found = NUMPY.xp.pow(np.full_like(t, base), t)
            true = [mpmath.power(mpmath.mpf(base), int(n)) for n in t]
            bound = (2 + 2 * abs(t * np.log(base))) * 2.0**-52
            errors = [float(abs(mpmath.mpf(float(y)) - z) / z) for y, z in zip(found, true, strict=True)]
            assert np.all(np.asarray(errors) <= bound)


@pytest.mark.parametrize("name", AT_SPECIAL)
def test_zeros_infinities_subnormals_and_nan_give_the_defined_results(name):
    with NUMPY.activate():
        np.testing.assert_allclose(getattr(NUMPY.xp, name)(SPECIAL), AT_SPECIAL[name], rtol=1e-15, atol=1e-300)


def test_logarithms_at_their_ends():
    with NUMPY.activate():
        _check_ends()


def _check_ends():
    x = np.asarray([0.0, np.inf, -1.0, np.nan, 1.0])
    np.testing.assert_array_equal(NUMPY.xp.log(x), [-np.inf, np.inf, np.nan, np.nan, 0.0])
    np.testing.assert_array_equal(NUMPY.xp.log1p(x - 1), [-np.inf, np.inf, np.nan, np.nan, 0.0])
    np.testing.assert_array_equal(NUMPY.xp.sqrt(x), [0.0, np.inf, np.nan, np.nan, 1.0])
    np.testing.assert_array_equal(
        NUMPY.xp.pow(np.asarray([0.0, 0.0, -1.0]), np.asarray([2.0, 0.0, 2.0])), [0, 1, np.nan]
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*FUNCTIONS, "cos"])
def test_every_backend_gives_numpy_s_bits(name, dtype, reproducible):
    x = np.concatenate([np.abs(WIDE), np.exp(NOISE.uniform(-60, 60, 3000)), [0.0, 1.0, np.inf]]).astype(dtype)
    x = x if name in ("log", "sqrt") else np.where(np.arange(x.size) % 2 == 0, x, -x)
    x = np.minimum(x, 1e5) if name == "cos" else x
    x = x[np.isfinite(x)] if name in ("cos", "log1p") else x
    x = x[x > -1] if name == "log1p" else x
    with reproducible.activate(), np.errstate(all="ignore"):
        found = reproducible.to_numpy(getattr(reproducible.xp, name)(reproducible.asarray(x)))
        expected = getattr(NUMPY.xp, name)(x)
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == dtype


@pytest.mark.parametrize("shape", [(7, 1), (1, 30), ()])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quotients_are_correctly_rounded_also_where_the_divisor_is_broadcast(shape, dtype, reproducible):
    a, b = NOISE.normal(size=(7, 30)).astype(dtype), NOISE.normal(1, 0.1, size=shape).astype(dtype)
    with reproducible.activate():
        found = reproducible.xp.divide(reproducible.asarray(a), reproducible.asarray(np.asarray(b)))
        np.testing.assert_array_equal(reproducible.to_numpy(found), a / b)


def test_what_is_not_defined_is_refused_by_name(reproducible):
    with pytest.raises(bp.ConfigurationError, match=r"xp.sinh has no reproducible definition.*arithmetic='native'"):
        reproducible.xp.sinh(reproducible.asarray(np.ones(3)))
