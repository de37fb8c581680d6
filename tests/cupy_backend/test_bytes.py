"""Bytes become numbers while they are gathered: no kernel more, and the same bits."""

import numpy as np
import pytest
from fake_cupy import RawModule

import portable_bp as bp

RNG = np.random.default_rng(6)
X, LABELS = RNG.integers(0, 256, (30, 40), dtype=np.uint8), RNG.integers(0, 3, 30)
DENSE = [bp.Dense(40, 50), bp.ReLU(), bp.Dense(50, 3)]


def trained(gpu, x, layers=DENSE, dtype="float32", batch_size=8):
    net = bp.Network(layers, bp.SoftmaxCrossEntropy(), backend=gpu, seed=2, dtype=dtype)
    net.fit(x, LABELS, optimizer=bp.SGD(1e-4), epochs=2, batch_size=batch_size)
    return net, next(iter(net._compiled[1]._captured.values()))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch_size", [8, None])
def test_a_step_on_bytes_takes_no_launch_more_and_has_the_same_bits(gpu, dtype, batch_size):
    (net, own), (same, other) = (trained(gpu, x, DENSE, dtype, batch_size) for x in (X, X.astype(dtype)))
    assert net.digest() == same.digest()
    assert len(own._graph.calls) == len(other._graph.calls)
    if batch_size:
        assert own._data[0].dtype == np.uint8  # the graph reads the bytes where they lie


def test_scaling_takes_one_kernel(gpu):
    net, own = trained(gpu, X, [bp.Rescale(1 / 255), *DENSE])
    assert len(own._graph.calls) == len(trained(gpu, X)[1]._graph.calls) + 1
    assert "unsigned char" not in RawModule.sources[-1].partition("k0(")[2]
    host = bp.Network([bp.Rescale(1 / 255), *DENSE], bp.SoftmaxCrossEntropy(), seed=2)
    host.fit(X, LABELS, optimizer=bp.SGD(1e-4), epochs=2, batch_size=8)
    np.testing.assert_allclose(net.predict(X), host.predict(X), rtol=1e-5)


def test_bytes_that_a_step_reads_as_bytes_are_gathered_as_they_are(gpu):
    def step(state, batch):
        xp = gpu.xp
        numbers = xp.astype(batch[0], xp.float64)
        return {"a": state["a"] + xp.sum(numbers) + xp.sum(xp.astype(batch[0] > 99, xp.float64))}, xp.sum(numbers)

    order = np.stack([RNG.permutation(30)[:5] for _ in range(3)])
    with gpu.activate():
        state, losses = gpu.compile(step)({"a": gpu.asarray(np.zeros(()))}, (gpu.asarray(X),), [gpu.asarray(order)])
    wanted = [X[rows].sum() for rows in order]
    assert gpu.to_numpy(losses).tolist() == wanted
    assert gpu.to_numpy(state["a"]) == sum(wanted) + sum((X[rows] > 99).sum() for rows in order)
