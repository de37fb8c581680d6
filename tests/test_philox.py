"""Philox4x32-10 gives Random123's published words, and a draw's bits are a function of (seed, layer, step) alone."""

import hashlib
from math import prod, sqrt

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.philox import Draw, mask_key, philox4x32

WORD = 0xFFFFFFFF

# Random123, tests/kat_vectors, the lines "philox4x32 10": counter, key, result.
KNOWN_ANSWERS = {
    "zeros": ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((WORD,) * 4, (WORD,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "digits of pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
SHAPES = [(1,), (3,), (4,), (5,), (2, 3), (7, 11), (2, 3, 5), (1000,)]


def philox_in_python(counter, key):
    """The published algorithm in unbounded integers."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        a, b = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (b >> 32) ^ c1 ^ k0, b & WORD, (a >> 32) ^ c3 ^ k1, a & WORD
        k0, k1 = (k0 + 0x9E3779B9) & WORD, (k1 + 0xBB67AE85) & WORD
    return c0, c1, c2, c3


def bits_in_python(key, step, shape):
    """First word of every counter, then every second word, and so on, cut to the size of the shape."""
    counters = range(-(-prod(shape) // 4))
    words = [philox_in_python((lane, 0, step, 0), key) for lane in counters]
    return np.array([word[place] for place in range(4) for word in words][: prod(shape)]).reshape(shape)


def integer(backend, value):
    return backend.xp.asarray(value, dtype=backend.xp.int64)


def bits(backend, shape, *, seed=0, layer=0, step=0):
    with backend.activate():
        return backend.to_numpy(Draw(mask_key(seed, layer), integer(backend, step)).bits(backend.xp, shape))


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS.values(), ids=KNOWN_ANSWERS.keys())
def test_philox_gives_the_known_answers_of_random123(backend, counter, key, words):
    with backend.activate():
        found = philox4x32(backend.xp, tuple(integer(backend, [word]) for word in counter), key)
    assert tuple(int(backend.to_numpy(word)[0]) for word in found) == words


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS.values(), ids=KNOWN_ANSWERS.keys())
def test_the_reference_in_python_gives_the_known_answers_too(counter, key, words):
    assert philox_in_python(counter, key) == words


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_bits_of_a_draw_are_the_same_on_every_backend(backend, shape):
    found = bits(backend, shape, seed=3, layer=2, step=41)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, bits_in_python(mask_key(3, 2), 41, shape))


@pytest.mark.parametrize("moved", [{"seed": 1}, {"seed": -1}, {"layer": 1}, {"step": 1}, {"step": 2**31}], ids=str)
def test_another_seed_layer_or_step_draws_other_bits(backend, moved):
    here, there = bits(backend, (400,)), bits(backend, (400,), **moved)
    assert np.count_nonzero(here == there) <= 1  # by chance 400 / 2³²


def test_neighbouring_words_of_a_draw_differ(backend):
    assert len(np.unique(bits(backend, (400,)))) >= 399


@pytest.mark.parametrize("shape", [(3, 5, 2), (3, 4), (3, 7)], ids=str)
def test_every_member_of_a_population_gets_the_bits_of_its_own_key(backend, shape):
    keys = [mask_key(seed, 1) for seed in (5, 6, 5)]
    with backend.activate():
        words = tuple(integer(backend, [[key[place]] for key in keys]) for place in range(2))
        together = backend.to_numpy(Draw(words, integer(backend, 9)).bits(backend.xp, shape))
    alone = [bits(backend, shape[1:], seed=seed, layer=1, step=9) for seed in (5, 6, 5)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_the_key_of_a_mask_is_two_words_that_depend_on_seed_and_layer():
    keys = [mask_key(seed, layer) for seed in range(20) for layer in range(20)]
    assert all(0 <= word <= WORD for key in keys for word in key)
    assert len(set(keys)) == 400
    low_64_bits = int.from_bytes(hashlib.blake2b(b"3/mask/2/0", digest_size=16).digest()[:8], "little")
    assert mask_key(3, 2) == (low_64_bits & WORD, low_64_bits >> 32)


def dropped(backend, rate, n=40_001, seed=0):
    with backend.activate():
        x = backend.xp.ones((n,), dtype=backend.xp.float64)
        draw = Draw(mask_key(seed, 0), integer(backend, 0))
        return backend.to_numpy(bp.Dropout(rate).forward(backend.xp, {}, x, draw)[0])


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.5, 0.9])
def test_dropout_drops_its_rate_and_keeps_the_mean(backend, rate):
    y = dropped(backend, rate)
    error = 5 * sqrt(rate * (1 - rate) / len(y))  # five standard deviations of a share
    assert np.mean(y == 0) == pytest.approx(rate, abs=error)
    assert np.mean(y) == pytest.approx(1, abs=error / (1 - rate))
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-15)


def test_dropout_of_rate_0_drops_nothing(backend):
    assert np.all(dropped(backend, 0.0) == 1)


def test_dropout_drops_exactly_the_words_below_its_rate(backend):
    words = bits_in_python(mask_key(7, 0), 0, (1001,))
    np.testing.assert_array_equal(dropped(backend, 0.25, 1001, seed=7) == 0, words < 2**30)
