"""The look at every array is captured as a step is, and sees what isn't finite."""

import warnings

import numpy as np
import pytest

import portable_bp as bp
from portable_bp.tripwire.looking import Look, looked_at

RNG = np.random.default_rng(3)
X, LABELS = RNG.normal(size=(12, 6)), RNG.integers(0, 4, 12)


@pytest.mark.parametrize("order", ["all", "batches"])
def test_a_look_is_captured_without_a_warning_and_sees_what_is_not_finite(gpu, order):
    layers = [bp.Dense(6, 8), bp.Sigmoid(), bp.Dropout(0.3), bp.Dense(8, 4)]
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, seed=1)
    state, data = net.start(bp.Adam(0.01)), net.preparation.batch(X, LABELS)
    order = 1 if order == "all" else gpu.asarray(np.arange(12).reshape(2, 6))
    epoch, (rows, one_step) = Look(gpu, net.model).epoch, looked_at(data, order)
    spoilt = {**state, "params": [{**state["params"][0], "bias": gpu.asarray(np.full((1, 8), -np.inf, np.float32))},
                                  *state["params"][1:]]}  # fmt: skip
    with warnings.catch_warnings(), np.errstate(all="ignore"):  # the GPU is silent, its stand-in on the host is not
        warnings.simplefilter("error")
        found = [float(gpu.to_numpy(epoch(one, rows, one_step)[1])[0]) for one in (state, spoilt, state)]
    assert np.isfinite(found).tolist() == [True, False, True]
