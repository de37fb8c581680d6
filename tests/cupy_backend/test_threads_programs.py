"""Any step whose arrays have a leading axis, not only a network's: done by threads rightly, or left to the graph."""

import warnings
from functools import reduce

import numpy as np
import pytest
from fake_cupy import bare
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from portable_bp.backend import Backend
from portable_bp_cupy.captured import forms
from portable_bp_cupy.recorded import record
from portable_bp_cupy.threads.axes import Unfit
from portable_bp_cupy.threads.launching import Threads
from portable_bp_numpy.replay import leaves_of

RNG = np.random.default_rng(5)
X = RNG.normal(size=(12, 6))


def captured(gpu, step, state, data, order):
    """Threads for a step, with the numbers that they and the plain loop come to."""
    own = Threads(gpu._cupy, record(step, state, forms(data, order), gpu.xp), order, exact=False)
    losses = np.concatenate([bare(part) for part in own(dict(leaves_of(state)), data, order)])
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [order])
    return own, [(losses, expected_losses)] + [(own.state[path], array) for path, array in leaves_of(expected)]


K = 3
SIMPLE = [np.tanh, np.negative, lambda x: np.swapaxes(x, -1, -2), lambda x: np.sum(x, axis=-2, keepdims=True) + 0 * x]
SIMPLE += [lambda x: np.max(x, axis=-1, keepdims=True) - x, lambda x: np.min(x, axis=(-2, -1), keepdims=True) * x]
SIMPLE += [lambda x: np.concatenate([x[..., 1:], 2 * x[..., :1]], axis=-1), lambda x: np.stack([x, x + 1])[1]]
SIMPLE += [lambda x: np.reshape(np.reshape(x, (*x.shape[:-2], 9))[..., 2:], (*x.shape[:-2], 7, 1))[..., :3, :] * x]
DOUBLE = [np.add, np.multiply, np.matmul, lambda x, y: np.where(x > y, x, 0.5 * y), lambda x, y: x - y[..., 1:2, :]]
DOUBLE += [lambda x, y: np.matmul(np.swapaxes(x, -1, -2), y), lambda x, y: x * y[..., :1]]
CALLS = st.tuples(st.integers(0, len(SIMPLE) - 1), st.integers(0, 9)) | st.tuples(
    st.integers(0, len(DOUBLE) - 1), st.integers(0, 9), st.integers(0, 9)
)
ROWS = ["whole", "shared", "own"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(CALLS, min_size=1, max_size=8),
    st.lists(st.integers(0, 99), min_size=3, max_size=3),
    st.sampled_from(ROWS),
    st.booleans(),
)
def test_random_programs_give_the_plain_loops_numbers(gpu, alone, program, chosen, rows, one):
    """Members, rows and numbers with 3 × 3 of each: what is not refused must be right."""
    alone(one)
    table = gpu.asarray(np.arange(7.0) / 7)
    simple = [*SIMPLE, lambda x: gpu.xp.take(table, np.where(x > 0, 4, 1), axis=0) * x]

    def step(state, batch):
        x = np.reshape(batch[0], (K, 3, 3)) if rows == "own" else batch[0]
        known = [state["p"], state["q"], x]
        for which, *of in program:
            given = [known[-1 - i % len(known)] for i in of]
            known.append(np.tanh((simple if len(of) == 1 else DOUBLE)[which](*given)))
        p, q, loss = (known[-1 - i % len(known)] for i in chosen)
        summed = np.matmul(np.swapaxes(x, -1, -2), loss)
        return {"p": p + 0 * state["q"], "q": state["p"] - 0.1 * q}, np.sum(summed * state["q"], axis=(-2, -1))

    rng = np.random.default_rng(0)
    state = {name: gpu.asarray(rng.normal(size=(K, 3, 3))) for name in "pq"}
    order = rng.integers(0, 7, (3, 3 * K if rows == "own" else 3))
    data = (gpu.asarray(rng.normal(size=(3 if rows == "whole" else 7, 3))),)
    try:
        _, pairs = captured(gpu, step, state, data, 3 if rows == "whole" else gpu.asarray(order))
    except Unfit:
        assume(False)
    for found, expected in pairs:
        np.testing.assert_allclose(bare(found), bare(expected), rtol=1e-9, atol=1e-12)


EXCHANGES = {
    "exchanged": lambda xp, p, q: (q, p),
    "turned": lambda xp, p, q: (xp.matrix_transpose(p), q + p),
    "the same twice": lambda xp, p, q: (p + q, p + q),
    "read after its successor": lambda xp, p, q: (p * 2, (p * 2) * p + xp.matrix_transpose(p)),
    "a view of the successor": lambda xp, p, q: (xp.matrix_transpose(p + q), p + q),
    "one of them stays": lambda xp, p, q: (p, q + p),
}


@pytest.mark.parametrize("change", EXCHANGES.values(), ids=EXCHANGES)
def test_awkward_changes_of_the_state_are_done_by_threads(gpu, change):
    def step(state, batch):
        p, q = change(gpu.xp, state["p"], state["q"])
        total = gpu.xp.sum(state["p"] * q, axis=(-2, -1))
        return {"p": p, "q": q, "t": state["t"] + 1}, total * gpu.xp.sum(batch[0])

    state = {name: gpu.asarray(RNG.normal(size=(3, 2, 2))) for name in "pq"}
    state["t"] = gpu.asarray(np.zeros((), np.int64))
    _, pairs = captured(gpu, step, state, (gpu.asarray(X),), 3)
    for found, expected in pairs:
        np.testing.assert_allclose(bare(found), bare(expected), rtol=1e-12)


NO_MEMBERS = {
    "one takes from the others": (lambda xp, p: p - xp.sum(p, axis=0, keepdims=True) / 3, (3, 2)),
    "they change places": (lambda xp, p: xp.flip(p, axis=0) * 1, (3, 2)),
    "sums are taken in unusual ways": (lambda xp, p: p - np.sum(p, -1, keepdims=True), (3, 2)),
    "there is only one": (lambda xp, p: p * 0.5, (1, 2)),
    "they need much room": (
        lambda xp, p: p + xp.sum(xp.expand_dims(p, axis=-1) * xp.arange(2000, dtype=p.dtype), axis=-1),
        (3, 2),
    ),
    "they take long": (lambda xp, p: reduce(lambda y, _: xp.tanh(y), range(60), p), (2, 300)),
    "they are large": (lambda xp, p: p * 0.5, (2, 2000)),
}


@pytest.mark.parametrize(("change", "shape"), NO_MEMBERS.values(), ids=NO_MEMBERS)
def test_what_no_thread_can_do_alone_is_captured_without_a_word(gpu, change, shape):
    def step(state, batch):
        after = {"p": change(gpu.xp, state["p"]) + gpu.xp.sum(batch[0]), "t": state["t"] + 1}
        return after, gpu.xp.sum(state["p"] * state["p"], axis=-1)

    state = {"p": gpu.asarray(RNG.normal(size=shape)), "t": gpu.asarray(np.zeros((), np.int64))}
    epoch, data = gpu.compile(step), (gpu.asarray(X),)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, losses = epoch(state, data, [3])
    assert epoch.kinds == ["graph"]
    expected, expected_losses = Backend.compile(gpu, step)(state, data, [3])
    np.testing.assert_allclose(bare(found["p"]), bare(expected["p"]), rtol=1e-12)
    np.testing.assert_allclose(bare(losses), bare(expected_losses), rtol=1e-12)
