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
