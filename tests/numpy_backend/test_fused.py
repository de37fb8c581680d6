"""Chains compiled by Numba: the bits of NumPy's calls, and NumPy's calls wherever they can't be compiled."""

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.backpropagation import training_step
from portable_bp.checking.cases import OPTIMIZERS
from portable_bp_numpy import fused, replay

NUMPY = bp.get_backend("numpy")
WIDTH = 700  # enough for a loop to be worth it
NEVER = float("inf")
needs_numba = pytest.mark.skipif(fused.compiler() is None, reason="Numba is not installed, or doesn't know this NumPy")


def trained(rule, patience, monkeypatch, dtype="float32", arithmetic="native"):
    """State and losses of some epochs, and the number of calls that a step has become."""
    monkeypatch.setattr(replay, "PATIENCE", patience)
    layers = [bp.Dense(6, WIDTH), bp.Tanh(), bp.Dense(WIDTH, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), dtype=dtype, arithmetic=arithmetic, seed=2)
    rng = np.random.default_rng(0)
    data = (rng.normal(size=(12, 6)).astype(dtype), rng.integers(0, 4, 12))
    step = training_step(net.backend.xp, net.model, net.backend.lower(rule))
    epoch, state, losses = replay.CompiledEpoch(step, NUMPY.compile(step)), net.start(rule), []
    with NUMPY.activate():
        for _ in range(4):  # the first one without compiled chains
            state, found = epoch(state, data, [2])
            losses.append(found)
    (recording,) = epoch._recordings.values()
    return dict(replay.leaves_of(state)), np.concatenate(losses), len(recording._program.calls)


@needs_numba
@pytest.mark.parametrize("arithmetic", ["native", "reproducible"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*list(OPTIMIZERS)[:10], "ExponentialDecay"])
def test_compiled_chains_have_the_bits_of_numpys_calls(name, dtype, arithmetic, monkeypatch):
    expected, expected_losses, calls = trained(OPTIMIZERS[name], NEVER, monkeypatch, dtype, arithmetic)
    found, losses, fewer = trained(OPTIMIZERS[name], 0.0, monkeypatch, dtype, arithmetic)
    assert fewer < calls
    np.testing.assert_array_equal(losses, expected_losses)
    for path, array in expected.items():
        np.testing.assert_array_equal(found[path], array, err_msg=str(path))


def test_without_numba_nothing_is_compiled(monkeypatch):
    _, expected, calls = trained(bp.Adam(), NEVER, monkeypatch)
    monkeypatch.setattr(fused, "compiler", lambda: None)
    _, losses, as_many = trained(bp.Adam(), 0.0, monkeypatch)
    assert as_many == calls
    np.testing.assert_array_equal(losses, expected)


class Odd(bp.SGD):
    """A rule with an operation that is not defined to the last bit."""

    def update(self, xp, params, grads, state):
        return super().update(xp, params, [{n: xp.tanh(g) for n, g in own.items()} for own in grads], state)


def test_a_chain_with_a_function_that_libraries_round_differently_stays_numpys(monkeypatch):
    assert trained(Odd(), 0.0, monkeypatch)[2] == trained(Odd(), NEVER, monkeypatch)[2]


class Counting(bp.SGD):
    """A rule that adds truth values: in NumPy true and true is true, in a compiled loop it would be 2."""

    def update(self, xp, params, grads, state):
        counted = [{n: g * xp.astype((g > 0) + (g > -1e-3), g.dtype) for n, g in own.items()} for own in grads]
        return super().update(xp, params, counted, state)


class HalfPrecision(bp.SGD):
    """A rule whose state is float16, which Numba doesn't compile."""

    def init(self, xp, params):
        masks = [{n: np.ones(w.shape, np.float16) for n, w in own.items()} for own in params]
        return {**super().init(xp, params), "mask": masks}

    def update(self, xp, params, grads, state):
        masked = [
            {n: g * xp.astype(m[n], g.dtype) for n, g in own.items()}
            for own, m in zip(grads, state["mask"], strict=True)
        ]
        new, after = super().update(xp, params, masked, state)
        return new, {**after, "mask": state["mask"]}


@pytest.mark.parametrize("rule", [Counting(0.1), HalfPrecision(0.1)], ids=lambda rule: type(rule).__name__)
def test_what_a_compiled_loop_would_do_otherwise_stays_numpys(rule, monkeypatch):
    _, losses, calls = trained(rule, 0.0, monkeypatch)
    _, expected, as_many = trained(rule, NEVER, monkeypatch)
    assert calls == as_many
    np.testing.assert_array_equal(losses, expected)


@needs_numba
def test_equal_chains_are_compiled_once(monkeypatch):
    trained(bp.Adam(), 0.0, monkeypatch)
    before = fused._compiled.cache_info().currsize
    trained(bp.Adam(), 0.0, monkeypatch)
    assert fused._compiled.cache_info().currsize == before
