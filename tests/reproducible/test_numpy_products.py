"""NumPy's product with kept buffers has the bits of the portable one, whatever comes in."""

import threading

import numpy as np
import pytest

from portable_bp.reproducible import powers
from portable_bp.reproducible.products import matmul
from portable_bp_numpy.reproducible import exact_matmul, without_faded

KINDS = ["plain", "scaled", "sparse", "Fortran order", "transposed view", "tiny", "infinite"]


def operands(kind, seed):
    noise = np.random.default_rng(seed)
    m, k, n = noise.integers(1, 60, size=3) * [1, noise.choice([1, 12]), 1]
    a = noise.normal(size=(m, k)) * 10.0 ** noise.integers(-12, 12, size=(m, 1))
    b = noise.normal(size=(k, n)) * 10.0 ** noise.integers(-12, 12, size=(1, n))
    if kind == "scaled":
        a = a * 10.0 ** noise.integers(-6, 6, size=(m, k))
    if kind == "sparse":
        a, b = np.where(noise.random(a.shape) < 0.7, 0, a), np.where(np.arange(n) == 0, 0, b)
    if kind == "tiny":
        a = a * 1e-25
    a, b = a.astype(np.float32), b.astype(np.float32)
    if kind == "infinite":
        a[0, 0], b[-1, -1] = np.inf, np.nan
    if kind == "Fortran order":
        return np.asfortranarray(a), b
    return (a, b.T.copy().T) if kind == "transposed view" else (a, b)


@pytest.mark.parametrize("kind", KINDS)
def test_kept_buffers_change_no_bit(kind):
    with np.errstate(all="ignore"):
        for seed in range(40):
            a, b = operands(kind, seed)
            np.testing.assert_array_equal(exact_matmul(np, a, b), matmul(np, a, b))


def test_a_result_is_not_overwritten_by_the_next_product():
    a, b = operands("plain", 0)
    first = exact_matmul(np, a, b)
    before = first.copy()
    exact_matmul(np, 2 * a, b)
    np.testing.assert_array_equal(first, before)


@pytest.mark.parametrize("shape", [(3, 5, 4), (2, 1200, 900)])
def test_populations_and_large_products_take_the_portable_way(shape):
    noise = np.random.default_rng(0)
    a = noise.normal(size=shape).astype(np.float32)
    b = noise.normal(size=(*shape[:-2], shape[-1], 2)).astype(np.float32)
    np.testing.assert_array_equal(exact_matmul(np, a, b), matmul(np, a, b))


def test_threads_have_buffers_of_their_own():
    a, b = operands("plain", 3)
    expected, wrong = matmul(np, a, b), []

    def work():
        wrong.extend(1 for _ in range(200) if not np.array_equal(exact_matmul(np, a, b), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_faded_numbers_are_cleared_as_in_the_portable_version():
    x = np.asarray([0.0, -0.0, 1.0, -1e-28, 2.0**-96, -(2.0**-97), 1e-40, np.inf, np.nan], dtype=np.float32)
    assert without_faded(np, x).tobytes() == powers.without_faded(np, x).tobytes()
    assert without_faded(np, x)[[3, 4, 5, 6]].tolist() == [np.float32(-1e-28), 2.0**-96, 0.0, 0.0]
