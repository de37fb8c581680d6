"""A stream is a pure function of (seed, purpose, layer, step), and every coordinate counts."""

from math import sqrt

import numpy as np
import pytest

from portable_bp.streams import Stream, stream_key

PLACE = {"seed": 4, "purpose": "init", "layer": 2, "step": 7}
DRAWS = {
    "normal": lambda stream: stream.normal((50, 8)),
    "uniform": lambda stream: stream.uniform((50, 8)),
    "permutation": lambda stream: stream.permutation(400),
}
draws = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS.keys())
N = 100_000


@draws
def test_the_same_place_draws_the_same_numbers(draw):
    np.testing.assert_array_equal(draw(Stream(**PLACE)), draw(Stream(**PLACE)))


@draws
def test_a_stream_starts_anew_with_every_draw(draw):
    stream = Stream(**PLACE)
    np.testing.assert_array_equal(draw(stream), draw(stream))


@draws
@pytest.mark.parametrize("moved", [{"seed": 5}, {"seed": -4}, {"purpose": "order"}, {"layer": 3}, {"step": 8}], ids=str)
def test_another_coordinate_draws_other_numbers(draw, moved):
    here, there = draw(Stream(**PLACE)), draw(Stream(**{**PLACE, **moved}))
    assert here.shape == there.shape
    assert np.mean(here == there) < 0.02  # two permutations agree in one place on average


def test_the_streams_of_two_named_parts_differ():
    weight, bias = (Stream(**PLACE).named(name).normal((400,)) for name in ("weight", "bias"))
    assert not np.any(weight == bias)
    assert not np.any(weight == Stream(**PLACE).normal((400,)))


def test_keys_are_128_bits_and_differ_from_place_to_place():
    places = [
        (s, p, k, t) for s in range(-3, 4) for p in ("init", "order", "init/1") for k in range(12) for t in (0, 1, 12)
    ]
    keys = {stream_key(*place) for place in places}
    assert len(keys) == len(places)
    assert 2**120 < max(keys) < 2**128


def test_keys_stay_what_they_are_so_that_a_seed_means_the_same_in_later_versions():
    assert stream_key(0, "init/weight", 0) == 0xEDE0D55BFE62D52B79C4D93D97A8D3DA
    drawn = np.random.Generator(np.random.Philox(key=0xEDE0D55BFE62D52B79C4D93D97A8D3DA)).standard_normal((4,))
    np.testing.assert_array_equal(Stream(0, "init").named("weight").normal((4,)), drawn)


def test_normal_numbers_have_mean_0_and_variance_1():
    drawn = Stream(**PLACE).normal((N,))
    assert drawn.dtype == np.float64
    assert np.mean(drawn) == pytest.approx(0, abs=5 / sqrt(N))
    assert np.var(drawn) == pytest.approx(1, abs=5 * sqrt(2 / N))


def test_uniform_numbers_fill_the_interval_from_minus_1_to_1():
    drawn = Stream(**PLACE).uniform((N,))
    assert drawn.dtype == np.float64
    assert -1 <= drawn.min() < -0.999
    assert 0.999 < drawn.max() < 1
    assert np.mean(drawn) == pytest.approx(0, abs=5 / sqrt(3 * N))
    assert np.var(drawn) == pytest.approx(1 / 3, abs=5 * sqrt(4 / 45 / N))  # Var(u²) = 1/5 - 1/9


@pytest.mark.parametrize("n", [1, 2, 1000])
def test_a_permutation_has_every_number_once(n):
    order = Stream(**PLACE).permutation(n)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(n))


def test_a_constant_is_that_value_everywhere():
    constant = Stream(**PLACE).constant((2, 3), 0.5)
    assert constant.dtype == np.float64
    assert constant.tolist() == [[0.5] * 3] * 2
